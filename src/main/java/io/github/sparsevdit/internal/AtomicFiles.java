package io.github.sparsevdit.internal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
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
    Path target = path.toAbsolutePath();
    Path temporary =
        target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
    try {
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        content.writeTo(channel);
        channel.force(true);
      }
      Files.move(
          temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + path + ": " + e, named(e, temporary, path));
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

  /** The same of bytes, in a folder that is made if need be. */
  public static void write(Path path, byte[] bytes) {
    createFolderOf(path);
    write(
        path,
        channel -> {
          ByteBuffer left = ByteBuffer.wrap(bytes);
          while (left.hasRemaining()) {
            channel.write(left);
          }
        });
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
