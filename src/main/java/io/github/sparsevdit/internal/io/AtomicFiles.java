package io.github.sparsevdit.internal.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.util.Set;
import java.util.UUID;

/**
 * Writes files whole or not at all: under a temporary name beside the target, then moved over it.
 */
public final class AtomicFiles {
  private AtomicFiles() {}

  /** Writes a file's content. */
  @FunctionalInterface
  public interface Content {
    void writeTo(FileChannel channel) throws IOException;
  }

  /**
   * Writes path; if content fails, what was there stays. UncheckedIOException where the disk says
   * no.
   */
  public static void write(Path path, Content content) {
    try {
      replace(path, content);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + path + ": " + e, e);
    }
  }

  /** The same with an IOException, which names the file. The attributes are the new file's. */
  static void replace(Path path, Content content, FileAttribute<?>... attributes)
      throws IOException {
    Path target = path.toAbsolutePath();
    Path temporary =
        target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
    try {
      try (FileChannel channel =
          FileChannel.open(
              temporary,
              Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
              attributes)) {
        content.writeTo(channel);
        channel.force(true);
      }
      Files.move(
          temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw named(e, temporary, path);
    } finally {
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException leftover) {
        // the write's own outcome matters more than a leftover temporary file
      }
    }
  }

  /** Nobody knows the temporary name: what is wrong with it is wrong with the target. */
  private static IOException named(IOException error, Path temporary, Path path) {
    if (!(error instanceof FileSystemException at) || !temporary.toString().equals(at.getFile())) {
      return error;
    }
    String file = path.toString();
    return switch (at) {
      case NoSuchFileException e ->
          new NoSuchFileException(
              file, null, "there is no folder " + path.toAbsolutePath().getParent());
      case AccessDeniedException e -> new AccessDeniedException(file, null, e.getReason());
      default -> new FileSystemException(file, null, at.getReason());
    };
  }

  /** Writes what remains in a buffer, in a folder that is made if need be. */
  public static void write(Path path, ByteBuffer content) {
    createFolderOf(path);
    write(path, channel -> writeAll(channel, content));
  }

  /** The same of bytes. */
  public static void write(Path path, byte[] content) {
    write(path, ByteBuffer.wrap(content));
  }

  /** The same of text, as UTF-8. */
  public static void write(Path path, String content) {
    write(path, StandardCharsets.UTF_8.encode(content));
  }

  /** Writes what remains in a buffer; a channel may take less at a time. */
  public static void writeAll(WritableByteChannel channel, ByteBuffer content) throws IOException {
    while (content.hasRemaining()) {
      channel.write(content);
    }
  }

  /** Makes the folder that a file is to lie in. */
  public static void createFolderOf(Path path) {
    try {
      Files.createDirectories(path.toAbsolutePath().getParent());
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + path + ": " + e, e);
    }
  }
}
