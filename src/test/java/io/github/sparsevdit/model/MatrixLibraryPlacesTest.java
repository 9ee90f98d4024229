package io.github.sparsevdit.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.OtherJvm;
import io.github.sparsevdit.SvditException;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.MatrixLibrary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where oneDNN is unpacked, and what is trusted there. */
class MatrixLibraryPlacesTest {
  @TempDir Path folder;
  private Path cache;
  private Path temporary;

  @BeforeEach
  void folders() throws IOException {
    cache = folder.resolve("cache with a space and an umlaut \u00e4");
    temporary = Files.createDirectory(folder.resolve("temporary"));
  }

  /** Says which shared object a CPU backend multiplies with, or why none. */
  static final class Opens {
    public static void main(String[] arguments) {
      try (Backend backend = Backend.cpu()) {
        System.out.println("opened " + MatrixLibrary.open(Access.handle(backend)));
      } catch (SvditException e) {
        System.out.println("refused " + e.getMessage());
      }
    }
  }

  private OtherJvm jvm(Path cacheHome) {
    return new OtherJvm()
        .option("-Dsvdit.library=" + Backend.library().path())
        .option("-Djava.io.tmpdir=" + temporary)
        .option("-Dsun.jnu.encoding=UTF-8")
        .environment("LC_ALL", "C.UTF-8")
        .environment("XDG_CACHE_HOME", cacheHome == null ? "" : cacheHome.toString());
  }

  private Path opened(OtherJvm jvm) throws Exception {
    String output = jvm.run(Opens.class).strip();
    assertTrue(output.startsWith("opened /"), output);
    return Path.of(output.substring("opened ".length()));
  }

  private List<Path> below(Path place) throws IOException {
    try (Stream<Path> files = Files.walk(place)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }

  @Test
  void theCacheServesAllAndIsThisUsersAlone() throws Exception {
    Path library = opened(jvm(cache));
    assertTrue(library.startsWith(cache.resolve("sparse-vdit")), library.toString());
    for (Path path : List.of(library.getParent(), library.getParent().getParent())) {
      assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(path)));
    }
    Object before = Files.getLastModifiedTime(library);
    assertEquals(library, opened(jvm(cache)));
    assertEquals(before, Files.getLastModifiedTime(library));
    assertEquals(List.of(), below(temporary));
  }

  @Test
  void aDamagedCopyOfTheRightLengthIsReplaced() throws Exception {
    Path library = opened(jvm(cache));
    byte[] whole = Files.readAllBytes(library);
    byte[] damaged = whole.clone();
    damaged[damaged.length / 2] ^= 1;
    Files.write(library, damaged);
    assertEquals(library, opened(jvm(cache)));
    assertArrayEquals(whole, Files.readAllBytes(library));
  }

  @Test
  void aFolderThatOthersMayWriteIsNotUsed() throws Exception {
    Files.createDirectories(cache);
    Path shared = Files.createDirectory(cache.resolve("sparse-vdit"));
    Files.setPosixFilePermissions(shared, PosixFilePermissions.fromString("rwxrwxrwx"));
    Path library = opened(jvm(cache));
    assertTrue(library.startsWith(temporary), library.toString());
    assertEquals(List.of(), below(cache));
  }

  @Test
  void aUserWithoutAHomeLeavesTheWorkingDirectoryAlone() throws Exception {
    Path library = opened(jvm(null).option("-Duser.home=?"));
    assertTrue(library.startsWith(temporary), library.toString());
    assertFalse(Files.exists(Path.of("?")));
    // The next JVM takes the same copy.
    assertEquals(library, opened(jvm(null).option("-Duser.home=?")));
  }

  @Test
  void whereNothingServesTheMessageNamesTheWaysOut() throws Exception {
    Path file = Files.createFile(folder.resolve("file"));
    String output = jvm(file).option("-Djava.io.tmpdir=" + file).run(Opens.class);
    assertTrue(output.contains("refused "), output);
    for (String word : List.of("XDG_CACHE_HOME", "-Dsvdit.matmul", "noexec", file.toString())) {
      assertTrue(output.contains(word), output);
    }
  }

  @Test
  void aCacheMountedNoexecIsPassedOver() throws Exception {
    Files.createDirectories(cache);
    List<String> mounted =
        List.of(
            "unshare",
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs -o noexec none \"$0\" && exec \"$@\"",
            cache.toString());
    Process allowed =
        new ProcessBuilder(Stream.concat(mounted.stream(), Stream.of("true")).toList())
            .redirectErrorStream(true)
            .start();
    allowed.getInputStream().readAllBytes();
    assumeTrue(allowed.waitFor() == 0, "file systems cannot be mounted here (root can)");
    Path library = opened(jvm(cache).within(mounted));
    assertTrue(library.startsWith(temporary), library.toString());
  }
}
