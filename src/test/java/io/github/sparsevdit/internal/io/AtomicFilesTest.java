package io.github.sparsevdit.internal.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFilesTest {
  @TempDir Path folder;

  @Test
  void writingReplacesAFileAndLeavesNothingBesideIt() throws IOException {
    Path file = folder.resolve("deep/table.json");
    AtomicFiles.write(file, "old and long");
    AtomicFiles.write(file, "né");
    assertEquals("né", Files.readString(file));
    onlyFileIn(file);
  }

  @Test
  void whatFailsLeavesTheOldFileWhole() throws IOException {
    Path file = folder.resolve("table.json");
    AtomicFiles.write(file, "old");
    var failure =
        assertThrows(
            UncheckedIOException.class,
            () ->
                AtomicFiles.write(
                    file,
                    channel -> {
                      AtomicFiles.writeAll(channel, ByteBuffer.wrap(new byte[] {'n', 'e'}));
                      throw new IOException("the disk is full");
                    }));
    assertTrue(failure.getMessage().contains(file.toString()), failure.getMessage());
    assertTrue(failure.getMessage().contains("the disk is full"), failure.getMessage());
    assertEquals("old", Files.readString(file));
    onlyFileIn(file);
  }

  @Test
  void errorsNameTheFileAndNotTheTemporaryOne() {
    Path file = folder.resolve("absent/table.json");
    var failure =
        assertThrows(UncheckedIOException.class, () -> AtomicFiles.write(file, channel -> {}));
    assertTrue(failure.getMessage().contains("there is no folder " + file.getParent()));
    assertFalse(failure.getMessage().contains(".tmp"), failure.getMessage());
  }

  @Test
  void attributesAreTheNewFiles() throws IOException {
    Path file = folder.resolve("private");
    var permissions = PosixFilePermissions.fromString("rwx------");
    AtomicFiles.replace(file, channel -> {}, PosixFilePermissions.asFileAttribute(permissions));
    assertEquals(permissions, Files.getPosixFilePermissions(file));
  }

  private static void onlyFileIn(Path file) throws IOException {
    try (var files = Files.list(file.getParent())) {
      assertEquals(List.of(file), files.toList());
    }
  }
}
