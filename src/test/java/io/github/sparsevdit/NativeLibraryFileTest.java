package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * libsvdit.so as a file: it shows svdit.h and nothing else, and needs only an older system than
 * ours.
 */
class NativeLibraryFileTest {
  /** Of glibc 2.34 systems the oldest libstdc++ is gcc 11's. */
  private static final Map<String, int[]> NEWEST =
      Map.of(
          "GLIBC", new int[] {2, 34},
          "GLIBCXX", new int[] {3, 4, 29},
          "CXXABI", new int[] {1, 3, 13},
          "GCC", new int[] {11});

  private static ElfFile library;

  @BeforeAll
  static void read() throws Exception {
    library = ElfFile.read(Path.of(System.getProperty("svdit.library")));
  }

  @Test
  void exportsTheAbiAndNothingElse() throws Exception {
    assertEquals(BindingsTest.declaredFunctions(), library.exported());
  }

  @Test
  void needsNoSymbolVersionNewerThanItsPromise() {
    Map<String, Set<String>> needs = library.neededVersions();
    assertTrue(
        needs.getOrDefault("libc.so.6", Set.of()).stream().anyMatch(v -> v.startsWith("GLIBC_")),
        () -> "the file was not understood: " + needs);
    Set<String> tooNew = new TreeSet<>();
    needs.values().forEach(versions -> versions.stream().filter(this::tooNew).forEach(tooNew::add));
    assertEquals(Set.of(), tooNew, "symbol versions newer than " + NEWEST.keySet() + " allow");
  }

  @Test
  void needsOnlyTheCompilersOwnLibraries() {
    Set<String> allowed =
        Set.of(
            "libstdc++.so.6",
            "libm.so.6",
            "libgcc_s.so.1",
            "libc.so.6",
            "libdl.so.2",
            "librt.so.1",
            "libpthread.so.0",
            "ld-linux-x86-64.so.2");
    Set<String> others = new TreeSet<>(library.needed());
    assertTrue(others.contains("libc.so.6"), () -> "the file was not understood: " + others);
    assertTrue(others.contains("libstdc++.so.6"), "the C++ library is linked in");
    others.removeAll(allowed);
    assertEquals(Set.of(), others);
  }

  private boolean tooNew(String version) {
    String[] name = version.split("_", 2);
    int[] newest = NEWEST.get(name[0]);
    int[] numbers =
        Arrays.stream(name[1].split("\\.")).mapToInt(part -> Integer.parseInt(part)).toArray();
    return newest == null || Arrays.compare(numbers, newest) > 0;
  }
}
