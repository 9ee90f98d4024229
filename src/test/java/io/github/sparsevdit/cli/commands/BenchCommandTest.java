package io.github.sparsevdit.cli.commands;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.cli.Run;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BenchCommandTest {
  @Test
  void eightBitsAreTimedOnBf16Tensors() throws Exception {
    Run run =
        Run.svdit(
            "bench",
            "--sequence",
            "4x8x8",
            "--heads",
            "1",
            "--type",
            "e4m3",
            "--densities",
            "0.5",
            "--seconds",
            "0.01",
            "--backend",
            "cpu",
            "--json");
    assertEquals(0, run.code(), run.err());
    JsonNode report = new ObjectMapper().readTree(run.out());
    assertTrue(report.path("setting").asText().contains(", e4m3, "), run.out());
    assertTrue(report.at("/measured/0/gflops").asDouble() > 0, run.out());
  }

  @Test
  void everyModeIsTimedNearTheDensitiesAskedFor() throws Exception {
    Run run =
        Run.svdit(
            "bench",
            "--sequence",
            "8x8x8",
            "--heads",
            "2",
            "--block",
            "16",
            "--densities",
            "0.2,0.5",
            "--seconds",
            "0.01",
            "--json");
    assertEquals(0, run.code(), run.err());
    Set<String> modes = new HashSet<>();
    JsonNode measured = new ObjectMapper().readTree(run.out()).path("measured");
    for (JsonNode line : measured) {
      double density = line.path("density").asDouble();
      modes.add(line.path("mode").asText());
      boolean near = Math.abs(density - 0.2) < 0.04 || Math.abs(density - 0.5) < 0.04;
      assertTrue(near || density == 1, line.toString());
      double ideal = measured.get(0).path("milliseconds").asDouble() * density;
      double ratio = ideal / line.path("milliseconds").asDouble();
      assertEquals(ratio, line.path("ofIdeal").asDouble(), 1e-9);
    }
    assertEquals(Set.of("full", "diagonal", "multi-diagonal", "vertical-stripe"), modes);
    assertEquals(7, measured.size());
  }

  /** On a short sequence the nearest to a low density is still something. */
  @Test
  void nothingIsNotTimed() throws Exception {
    Run run =
        Run.svdit(
            "bench",
            "--sequence",
            "4x4x8",
            "--heads",
            "1",
            "--densities",
            "0.1",
            "--seconds",
            "0",
            "--json");
    assertEquals(0, run.code(), run.err());
    for (JsonNode line : new ObjectMapper().readTree(run.out()).path("measured")) {
      assertTrue(line.path("density").asDouble() > 0, run.out());
      assertTrue(line.path("gflops").asDouble() > 0, run.out());
    }
  }

  @Test
  void optionsThatMakeNoMeasurement() {
    for (String[] option :
        new String[][] {
          {"--seconds", "-1"},
          {"--seconds", "NaN"},
          {"--seconds", "Infinity"},
          {"--heads", "0"},
          {"--batch", "-1"},
          {"--head-dim", "0"},
          {"--block", "0"}
        }) {
      Run run = Run.svdit("bench", "--sequence", "4x4x8", option[0], option[1]);
      assertEquals(2, run.code(), run.err());
      assertTrue(run.err().contains(option[0] + " " + option[1]), run.err());
    }
  }
}
