package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.SimulatedDevice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Commands on a CUDA device: where calls only queue work, what they time is the work. */
@Tag("cuda")
class CudaCommandsTest {
  @TempDir Path folder;

  @AfterEach
  void usual() {
    if (SimulatedDevice.present()) {
      SimulatedDevice.configure("");
    }
  }

  /** No host runs the simulator at a GFLOP/s; queueing the work takes some microseconds. */
  @Test
  void benchTimesTheWorkAndNotItsQueueing() throws Exception {
    SimulatedDevice.configure("capability=90");
    for (String type : new String[] {"bf16", "e4m3"}) {
      Run run =
          Run.svdit(
              "bench",
              "--backend",
              "cuda",
              "--sequence",
              "2x8x16",
              "--heads",
              "1",
              "--type",
              type,
              "--densities",
              "0.5",
              "--seconds",
              "0.01",
              "--json");
      assertEquals(0, run.code(), run.err());
      JsonNode full = new ObjectMapper().readTree(run.out()).at("/measured/0");
      assertTrue(full.path("gflops").asDouble() < 1, run.out());
    }
  }

  @Test
  void generateTellsTheTimeOfAttentionInEightBits() throws Exception {
    SimulatedDevice.configure("capability=90");
    Run run = generate(1, "--time-attention");
    assertEquals(0, run.code(), run.err());
    JsonNode report = new ObjectMapper().readTree(run.out());
    assertEquals("e4m3", report.path("attentionType").asText());
    double share = report.path("attentionSeconds").asDouble() / report.path("seconds").asDouble();
    assertTrue(share > 0.02 && share < 1, run.out());
  }

  @Test
  void runsAreLaunchedAsGraphsUnlessAttentionIsTimed() throws Exception {
    SimulatedDevice.configure("capability=90");
    long before = SimulatedDevice.graphLaunches();
    Run run = generate(4);
    assertEquals(0, run.code(), run.err());
    // The first pass runs as it is; each later one is a graph.
    assertEquals(3, SimulatedDevice.graphLaunches() - before);
    assertFalse(new ObjectMapper().readTree(run.out()).has("attentionSeconds"), run.out());
    byte[] plain = Files.readAllBytes(clip());
    before = SimulatedDevice.graphLaunches();
    run = generate(4, "--time-attention");
    assertEquals(0, run.code(), run.err());
    assertEquals(0, SimulatedDevice.graphLaunches() - before);
    assertTrue(new ObjectMapper().readTree(run.out()).path("attentionSeconds").asDouble() > 0);
    assertArrayEquals(plain, Files.readAllBytes(clip()), "timing changed the video");
  }

  @Test
  void olderDevicesRefuseEightBits() {
    SimulatedDevice.configure("capability=80");
    Run run = generate(1);
    assertEquals(1, run.code());
    assertTrue(run.err().contains("takes compute capability 9.0"), run.err());
  }

  private Path clip() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".gif")).findFirst().orElseThrow();
    }
  }

  private Run generate(int steps, String... options) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "generate",
                "calibration/tiny-wan",
                "--prompt",
                "horse",
                "--latents",
                "2x24x32",
                "--steps",
                Integer.toString(steps),
                "--guidance",
                "1",
                "--backend",
                "cuda",
                "--attention-type",
                "e4m3",
                "--json",
                "--out",
                folder.resolve("clip").toString()));
    arguments.addAll(List.of(options));
    return Run.svdit(arguments.toArray(String[]::new));
  }
}
