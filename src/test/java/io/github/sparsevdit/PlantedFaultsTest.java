package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * The tests of what happens asynchronously find what they are for: each fault is planted in a copy
 * of one class, and a test that passes without it fails in a JVM that has the copy.
 */
@Tag("cuda")
@EnabledIfEnvironmentVariable(named = "SVDIT_PLANTED", matches = "1") // `make planted`
class PlantedFaultsTest {
  private static final String PACKAGE = "io/github/sparsevdit/";
  private static final String PASSED = "passed: ";

  /** In a class's source, from becomes to; the test, "Class#method", must fail. */
  private record Fault(String source, String from, String to, String test) {}

  private static final List<Fault> FAULTS =
      List.of(
          // Work and what it uses.
          new Fault(
              "AttentionRunner",
              "queue.uses(memory(q));",
              "",
              "CudaStreamTest#closingAnyArgumentWaits"),
          new Fault(
              "AttentionRunner",
              "queue.uses(buffer(call.textValidBuffer));",
              "",
              "CudaStreamTest#closingAnyArgumentWaits"),
          new Fault(
              "internal/StreamUses",
              "if (!stream.tryAwait()) {",
              "if (false) {",
              "CudaStreamTest#closingWaitsForTheStreamsThatUseIt"),
          new Fault(
              "internal/PlanHandle",
              "uses.awaitThen(",
              "((java.util.function.Consumer<Runnable>) Runnable::run).accept(",
              "CudaStreamTest#closingWaitsForTheStreamsThatUseIt"),
          new Fault(
              "internal/StreamHandle",
              "      owners.keep(memory);\n",
              "",
              "DeviceBufferTest#theOwnerIsKeptUntilTheWorkIsDone"),
          new Fault(
              "internal/StreamOwners",
              "NativeCalls.check(error -> Svdit.svdit_event_synchronize(backend.pointer(), event, error));",
              "",
              "DeviceBufferTest#ownersOfOldWorkAreLetGo"),
          // A stream's workspace, and its counts.
          new Fault(
              "internal/StreamScratch",
              "private long workspace;",
              "private static long workspace;",
              "CudaStreamTest#threadsShareAPlanEachOnAStreamOfItsOwn"),
          new Fault(
              "internal/StreamScratch",
              "if (workspaceBytes < bytes) {",
              "if (workspaceBytes == 0) {",
              "CudaStreamTest#plansShareAStreamsWorkspace"),
          new Fault(
              "internal/StreamScratch",
              "    if (workspace != 0) {\n      finish.run();\n",
              "    if (workspace != 0) {\n",
              "CudaStreamTest#plansShareAStreamsWorkspace"),
          new Fault(
              "internal/StreamScratch",
              "Arrays.equals(values, countsNow)",
              "values.length == countsNow.length",
              "CudaStreamTest#textValidMayChangeFromCallToCall"),
          // Order.
          new Fault(
              "internal/EventHandle",
              "error -> Svdit.svdit_stream_wait(backend.pointer(), stream.pointer(), pointer,"
                  + " error)",
              "error -> 0",
              "CudaStreamTest#anEventOrdersTwoStreams"),
          new Fault(
              "internal/DeviceCopy",
              "        stream.synchronize();\n",
              "",
              "CudaStreamTest#closingWaitsForTheStreamsThatUseIt"),
          new Fault(
              "internal/DeviceCopy",
              "to, from, bytes, stream.pointer(), error",
              "to, from, bytes, java.lang.foreign.MemorySegment.NULL, error",
              "CudaGraphTest#layersFollowEachOtherInAGraph"),
          // Graphs.
          new Fault(
              "internal/StreamHandle",
              "      capture.add(used);\n",
              "",
              "CudaGraphTest#aGraphOfClosedTensorsOrPlansIsRefused"),
          new Fault(
              "internal/StreamHandle",
              "return capture.workspace(bytes);",
              "",
              "CudaGraphTest#layersFollowEachOtherInAGraph"),
          new Fault(
              "internal/Capture",
              "workspaces.isEmpty() || bytes < needed",
              "workspaces.isEmpty()",
              "CudaGraphTest#layersFollowEachOtherInAGraph"));

  @Test
  void testsFindWhatIsPlanted(@TempDir Path folder) throws Exception {
    assumeTrue(SimulatedDevice.present(), "needs the simulated device");
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    assumeTrue(compiler != null && Files.isDirectory(Path.of("src/main/java")), "needs a JDK");
    String[] tests = FAULTS.stream().map(Fault::test).distinct().toArray(String[]::new);
    String without = jvm().run(PlantedFaultsTest.class, tests);
    assertEquals(tests.length, without.split(PASSED, -1).length - 1, without);
    List<Executable> found = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      List<Future<String>> said = new ArrayList<>();
      for (int i = 0; i < FAULTS.size(); i++) {
        Fault fault = FAULTS.get(i);
        Path classes = plant(compiler, fault, folder.resolve("fault" + i));
        said.add(
            threads.submit(
                () ->
                    jvm()
                        .classPath(classes.toString())
                        .run(PlantedFaultsTest.class, fault.test())));
      }
      for (int i = 0; i < FAULTS.size(); i++) {
        String output = said.get(i).get();
        Fault fault = FAULTS.get(i);
        found.add(() -> assertTrue(!output.contains(PASSED), () -> "not found: " + fault));
      }
    }
    assertAll(found);
  }

  private static OtherJvm jvm() {
    return new OtherJvm()
        .option("-Dsvdit.library=" + System.getProperty("svdit.library"))
        .option("-XX:TieredStopAtLevel=1")
        .option("-XX:+SuppressFatalErrorMessage") // what reads freed memory ends the JVM
        .environment("SVDIT_SIM", "late_us=30000"); // so late that what is not waited for is seen
  }

  /** Compiles a copy of the fault's class; the folder to be put before the class path. */
  private static Path plant(JavaCompiler compiler, Fault fault, Path folder) throws Exception {
    String name = PACKAGE + fault.source() + ".java";
    String source = Files.readString(Path.of("src/main/java", name));
    String planted = source.replace(fault.from(), fault.to());
    assertNotEquals(source, planted, () -> "nowhere to plant: " + fault);
    Path copy = folder.resolve("source").resolve(name);
    Files.createDirectories(copy.getParent());
    Files.writeString(copy, planted);
    Path classes = Files.createDirectories(folder.resolve("classes"));
    StringWriter said = new StringWriter();
    int result =
        compiler
                .getTask(
                    new PrintWriter(said),
                    null,
                    null,
                    List.of(
                        "-proc:none",
                        "-nowarn",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "-d",
                        classes.toString()),
                    null,
                    compiler
                        .getStandardFileManager(null, null, null)
                        .getJavaFileObjects(copy.toFile()))
                .call()
            ? 0
            : 1;
    assertEquals(0, result, said::toString);
    return classes;
  }

  /** Runs tests, each "Class#method", and says which passed. */
  public static void main(String[] tests) throws Exception {
    for (String test : tests) {
      String[] parts = test.split("#");
      Class<?> type = Class.forName("io.github.sparsevdit." + parts[0]);
      Constructor<?> constructor = type.getDeclaredConstructor();
      constructor.setAccessible(true);
      Method method = type.getDeclaredMethod(parts[1]);
      method.setAccessible(true);
      method.invoke(constructor.newInstance());
      System.out.println(PASSED + test);
    }
  }
}
