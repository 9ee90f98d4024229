package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where the library is looked for, in which order, and what is said when it is not there. */
class LibraryLoadingTest {
  private static final Path LIBRARY = Path.of(System.getProperty("svdit.library"));
  private static final String RESOURCE = "io/github/sparsevdit/native/linux-x86_64/libsvdit.so";

  @TempDir Path folder;

  /** Prints where the library came from, or why it did not. */
  static final class Main {
    public static void main(String[] arguments) {
      for (int i = 0; i < 2; i++) { // a failure is the same the second time
        try {
          LibraryInfo info = Backend.library();
          System.out.println(
              "origin=" + info.origin() + " path=" + info.path() + " tried=" + info.tried());
        } catch (SvditException e) {
          System.out.println(e.getClass().getSimpleName() + ": " + e.getMessage());
        }
      }
    }
  }

  private Path jarsCopy() throws Exception {
    Path copy = folder.resolve("jar").resolve(RESOURCE);
    Files.createDirectories(copy.getParent());
    Files.copy(LIBRARY, copy);
    return folder.resolve("jar");
  }

  @Test
  void anExplicitPathComesFirst() throws Exception {
    String output =
        new OtherJvm()
            .option("-Dsvdit.library=" + LIBRARY)
            .classPath(jarsCopy().toString())
            .run(Main.class);
    assertTrue(output.contains("origin=-Dsvdit.library path=" + LIBRARY.toAbsolutePath()), output);
  }

  @Test
  void anExplicitPathThatFailsIsFinal() throws Exception {
    Path none = folder.resolve("none.so");
    String output =
        new OtherJvm()
            .option("-Dsvdit.library=" + none)
            .classPath(jarsCopy().toString())
            .run(Main.class);
    String line = "BackendUnavailableException: the native library could not be loaded. Tried:";
    assertEquals(2, output.lines().filter(line::equals).count(), output);
    assertTrue(output.contains("-Dsvdit.library: " + none + ": no such file"), output);
  }

  @Test
  void theJarsCopyIsExtractedAndLeavesNothing() throws Exception {
    Path temporary = Files.createDirectory(folder.resolve("tmp"));
    String output =
        new OtherJvm()
            .option("-Djava.io.tmpdir=" + temporary)
            .classPath(jarsCopy().toString())
            .run(Main.class);
    assertTrue(output.contains("origin=class path path=" + RESOURCE), output);
    try (Stream<Path> left =
        Files.list(temporary).filter(file -> file.toString().contains("svdit"))) {
      assertEquals(List.of(), left.toList());
    }
  }

  @Test
  void theCacheFolderServesWhereTheTemporaryOneDoesNot() throws Exception {
    Path cache = folder.resolve("cache");
    String output =
        new OtherJvm()
            .option("-Djava.io.tmpdir=" + Files.createFile(folder.resolve("file")))
            .environment("XDG_CACHE_HOME", cache.toString())
            .classPath(jarsCopy().toString())
            .run(Main.class);
    assertTrue(output.contains("origin=class path path=" + RESOURCE), output);
    try (Stream<Path> left = Files.list(cache.resolve("sparse-vdit").resolve("native"))) {
      assertEquals(List.of(), left.toList());
    }
  }

  @Test
  void processesExtractAtTheSameTime() throws Exception {
    Path jar = jarsCopy();
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<String>> outputs = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        outputs.add(threads.submit(() -> new OtherJvm().classPath(jar.toString()).run(Main.class)));
      }
      for (Future<String> output : outputs) {
        assertTrue(output.get().contains("origin=class path"), output.get());
      }
    }
  }

  /**
   * Computes in two class loaders at once, as two web applications do, and in a third after the
   * first is gone, as one deployed again does.
   */
  static final class ClassLoaders {
    public static void main(String[] arguments) throws Exception {
      List<URL> classPath = new ArrayList<>();
      for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
        classPath.add(Path.of(entry).toUri().toURL());
      }
      List<URLClassLoader> loaders = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        if (i == 2) {
          loaders.removeFirst().close();
          System.gc();
        }
        loaders.add(
            new URLClassLoader(
                classPath.toArray(URL[]::new), ClassLoader.getPlatformClassLoader()));
        for (URLClassLoader loader : loaders) {
          Class<?> probe = loader.loadClass(Probe.class.getName());
          System.out.println(i + " " + probe.getDeclaredMethod("compute").invoke(null));
        }
      }
    }
  }

  /** Loaded once by each class loader. */
  public static final class Probe {
    public static String compute() {
      Sequence sequence = Sequence.video(1, 4, 8);
      try (Backend backend = Backend.cpu();
          AttentionPlan plan =
              backend.plan(sequence, ElementType.FP32, 16, 16, List.of(Pattern.full()));
          Tensor ones = backend.allocate(ElementType.FP32, 1, 1, 32, 16);
          Tensor out = backend.allocate(ElementType.FP32, 1, 1, 32, 16)) {
        float[] values = new float[32 * 16];
        Arrays.fill(values, 1);
        ones.copyFrom(values);
        plan.run(ones, ones, ones, out);
        return Backend.library().origin() + " " + Arrays.equals(values, out.toFloats());
      }
    }
  }

  @Test
  void severalClassLoadersShareAnExplicitPath() throws Exception {
    String output =
        new OtherJvm().option("-Dsvdit.library=" + LIBRARY).run(ClassLoaders.class).strip();
    String computed = " -Dsvdit.library true";
    assertEquals(
        List.of("0" + computed, "1" + computed, "1" + computed, "2" + computed, "2" + computed),
        output.lines().toList());
  }

  @Test
  void severalClassLoadersHaveACopyOfTheJarsEach() throws Exception {
    String output = new OtherJvm().classPath(jarsCopy().toString()).run(ClassLoaders.class).strip();
    assertEquals(
        List.of("0", "1", "1", "2", "2").stream().map(i -> i + " class path true").toList(),
        output.lines().toList());
  }

  @Test
  void theLibraryPathComesLast() throws Exception {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    String path = empty + ":" + LIBRARY.toAbsolutePath().getParent();
    String output = new OtherJvm().option("-Djava.library.path=" + path).run(Main.class);
    assertTrue(
        output.contains("origin=java.library.path path=" + LIBRARY.toAbsolutePath()), output);
    assertTrue(output.contains(RESOURCE + ": no such resource"), output);
    assertTrue(
        output.contains("java.library.path: " + empty.resolve("libsvdit.so") + ": no such file"),
        output);
  }

  @Test
  void aFailureNamesEveryPlaceTried() throws Exception {
    Path broken = folder.resolve("libsvdit.so");
    Files.writeString(broken, "no library");
    String output = new OtherJvm().option("-Djava.library.path=" + folder).run(Main.class);
    assertTrue(output.contains("class path: " + RESOURCE + ": no such resource"), output);
    assertTrue(output.contains("java.library.path: " + broken), output);
    assertTrue(output.contains("file too short") || output.contains("invalid ELF header"), output);
  }

  @Test
  void anotherLibraryIsNamedAsSuch() throws Exception {
    Path other = Path.of(System.getProperty("java.home"), "lib", "libattach.so");
    String output = new OtherJvm().option("-Dsvdit.library=" + other).run(Main.class);
    assertTrue(output.contains(other + " is no libsvdit of these bindings"), output);
    assertTrue(output.contains("svdit_"), output);
  }

  @Test
  void aDeniedNativeAccessNamesTheFlag() throws Exception {
    if (Runtime.version().feature() < 24) {
      return; // older JDKs only warn
    }
    String output =
        new OtherJvm().withoutNativeAccess().option("-Dsvdit.library=" + LIBRARY).run(Main.class);
    assertTrue(output.contains("start Java with --enable-native-access=ALL-UNNAMED"), output);
  }
}
