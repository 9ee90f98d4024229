package io.github.sparsevdit.cli.media;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * Files that are either the old one or the new one, never half of one: written beside the target
 * under a temporary name, then moved over it. What an interrupted run leaves is the old file.
 */
public final class WholeFile {
  /** Writes everything that belongs into the file at {@code path}. */
  @FunctionalInterface
  public interface Content {
    void writeTo(Path path) throws IOException;
  }

  private WholeFile() {}

  /**
   * Creates the parent folders, lets {@code content} fill a temporary file, moves it to {@code
   * target}.
   */
  public static void write(Path target, Content content) throws IOException {
    Path folder = target.toAbsolutePath().getParent();
    Files.createDirectories(folder);
    Path part = Files.createTempFile(folder, "." + target.getFileName(), ".part");
    // Ctrl-C skips the finally block below, but not this.
    part.toFile().deleteOnExit();
    try {
      content.writeTo(part);
      part.toFile().setReadable(true, false);
      move(part, target);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  /** The same for text, as UTF-8. */
  public static void write(Path target, String text) throws IOException {
    write(target, part -> Files.writeString(part, text, StandardCharsets.UTF_8));
  }

  private static void move(Path from, Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
    }
  }
}
