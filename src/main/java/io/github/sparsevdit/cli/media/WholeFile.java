package io.github.sparsevdit.cli.media;

import io.github.sparsevdit.internal.AtomicFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Writes files that are either the old one or the new one, never half of one, in folders made if
 * need be.
 */
public final class WholeFile {
  private WholeFile() {}

  /** Writes what remains in {@code content}. */
  public static void write(Path target, ByteBuffer content) throws IOException {
    Files.createDirectories(target.toAbsolutePath().getParent());
    AtomicFiles.write(
        target,
        channel -> {
          while (content.hasRemaining()) {
            channel.write(content);
          }
        });
  }

  /** Writes {@code text} as UTF-8. */
  public static void write(Path target, String text) throws IOException {
    write(target, StandardCharsets.UTF_8.encode(text));
  }
}
