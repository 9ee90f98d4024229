package io.github.sparsevdit.internal.io;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Git LFS pointers: the few lines that a clone without Git LFS has in place of a large file, as
 * https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md describes them.
 */
public final class GitLfs {
  private static final String BEGIN = "version https://git-lfs.github.com/spec/";
  private static final Pattern SIZE = Pattern.compile("(?m)^size (\\d{1,18})$");
  private static final int MOST_BYTES = 1024; // of a pointer, as its specification says

  private GitLfs() {}

  /**
   * Throws IllegalArgumentException, with what is missing and how to get it, if the file is a
   * pointer. One that cannot be read is left to the reader.
   */
  public static void requireContent(Path file) {
    String text;
    try {
      if (Files.size(file) > MOST_BYTES) {
        return;
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + file + ": " + e, e);
    }
    try (InputStream in = Files.newInputStream(file)) {
      text = new String(in.readNBytes(MOST_BYTES), StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + file + ": " + e, e);
    }
    if (!text.startsWith(BEGIN)) {
      return;
    }
    Matcher size = SIZE.matcher(text);
    throw new IllegalArgumentException(
        "%s is a Git LFS pointer in place of the file, whose %sbytes are missing; run `git lfs pull` in its repository, or download the file"
            .formatted(file, size.find() ? size.group(1) + " " : ""));
  }
}
