package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.Backend;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code svdit generate --resume}, stopped by Ctrl-C in a process of its own. */
class ResumeTest {
  private static final int STEPS = 6;

  @TempDir Path folder;

  /**
   * Whoever started the tests may ignore SIGINT, as nohup and many a runner do; children inherit
   * it.
   */
  private static final List<String> WITH_SIGINT = List.of("env", "--default-signal=INT");

  @ParameterizedTest
  @ValueSource(strings = {"INT", "TERM"})
  void aSignalStopsARunAndTheSameCommandGoesOn(String signal) throws Exception {
    Path state = folder.resolve("run.state");
    boolean reset = runs(WITH_SIGINT, "true");
    assumeTrue(
        reset || signal.equals("TERM") || !sigintIgnored(),
        "SIGINT is ignored here, and env has no --default-signal to change that");
    List<String> command = new ArrayList<>(reset ? WITH_SIGINT : List.of());
    command.addAll(
        List.of(
            System.getProperty("java.home") + "/bin/java",
            "--enable-native-access=ALL-UNNAMED",
            "-Dsvdit.library=" + Backend.library().path(),
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName()));
    command.addAll(List.of(arguments("stopped", state)));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(120);
    while (!Files.exists(state) && process.isAlive() && System.nanoTime() < deadline) {
      Thread.sleep(5);
    }
    new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    assertTrue(
        printed.matches(
            "(?s).*stopped at step \\d+ of " + STEPS + "; the same command goes on from there\\R"),
        printed);
    assertTrue(Files.exists(state));
    assertFalse(Files.exists(folder.resolve("stopped.gif")));

    Run other = Run.svdit(arguments("other", state, "--seed", "5"));
    assertEquals(1, other.code());
    assertTrue(other.err().contains("its seed is 100, this one's is 5"), other.err());

    other = Run.svdit(arguments("other", state, "--attention-type", "e4m3"));
    assertEquals(1, other.code());
    assertTrue(other.err().contains("its attention type is BF16, this one's is E4M3"), other.err());

    Run rest = Run.svdit(arguments("stopped", state));
    assertEquals(0, rest.code(), rest.err());
    assertFalse(Files.exists(state)); // the video is written
    Run whole = Run.svdit(arguments("whole", null));
    assertEquals(0, whole.code(), whole.err());
    assertArrayEquals(
        Files.readAllBytes(folder.resolve("whole.gif")),
        Files.readAllBytes(folder.resolve("stopped.gif")));
  }

  private static boolean runs(List<String> prefix, String program) throws Exception {
    List<String> command = new ArrayList<>(prefix);
    command.add(program);
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getInputStream().readAllBytes();
    return process.waitFor() == 0;
  }

  private static boolean sigintIgnored() throws IOException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      String ignored = lines.filter(line -> line.startsWith("SigIgn:")).findFirst().orElseThrow();
      return (Long.parseUnsignedLong(ignored.split("\\s+")[1], 16) >> 1 & 1) != 0; // SIGINT is 2
    }
  }

  private String[] arguments(String out, Path state, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "generate",
                "calibration/tiny-wan",
                "--prompt",
                "horse",
                "--steps",
                Integer.toString(STEPS),
                "--backend",
                "cpu",
                "--out",
                folder.resolve(out).toString()));
    if (state != null) {
      arguments.addAll(List.of("--resume", state.toString()));
    }
    arguments.addAll(List.of(more));
    return arguments.toArray(String[]::new);
  }
}
