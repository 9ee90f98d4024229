package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.table.DispatchTable;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoCommandTest {
  @TempDir Path folder;

  /** The main job on fewer steps, prompts and densities. */
  @Test
  void theMainJobLeavesWhatItPromises() throws Exception {
    Run run =
        Run.svdit(
            "demo",
            "--out",
            folder.toString(),
            "--calibrate",
            "bunny",
            "--prompts",
            "horse",
            "--densities",
            "0.5",
            "--steps",
            "4",
            "--json");
    assertEquals(0, run.code(), run.err());
    JsonNode table = new ObjectMapper().readTree(run.out()).at("/tables/0");
    assertTrue(table.path("density").asDouble() <= 0.5, run.out());
    double psnr = table.path("psnr").asDouble();
    assertTrue(psnr > 5 && psnr < 60, run.out());
    assertTrue(table.path("attentionSecondsDense").asDouble() > 0, run.out());
    int heads = 0;
    for (JsonNode count : table.path("headsPerMode")) {
      heads += count.asInt();
    }
    DispatchTable stored = DispatchTable.read(folder.resolve("table-0.50.json"));
    assertEquals(stored.phases().size() * 6 * 4, heads);
    for (String file :
        new String[] {
          "report.json", "mode-map-0.50.svg", "horse-dense.mp4", "horse-0.50.mp4", "horse-all.mp4"
        }) {
      assertTrue(Files.size(folder.resolve(file)) > 0, file);
    }
    for (String picture :
        new String[] {
          "contact-sheet.png", "pareto-front.png", "mode-map-0.50.png", "horse-all.gif"
        }) {
      assertTrue(ImageIO.read(folder.resolve(picture).toFile()).getWidth() > 100, picture);
    }
  }

  /**
   * Dense and sparse runs in both types, from the same noise: near each other, but not the same.
   */
  @Test
  void eightBitAttentionIsComparedWithBf16() throws Exception {
    Run run =
        Run.svdit(
            "demo",
            "--attention-type",
            "e4m3",
            "--out",
            folder.toString(),
            "--calibrate",
            "bunny",
            "--prompts",
            "horse",
            "--densities",
            "0.5",
            "--steps",
            "2",
            "--guidance",
            "1",
            "--backend",
            "cpu");
    assertEquals(0, run.code(), run.err());
    JsonNode report = new ObjectMapper().readTree(folder.resolve("report.json").toFile());
    assertEquals("e4m3", report.path("attentionType").asText());
    assertEquals("bf16", report.path("plainType").asText());
    double dense = report.path("psnrToPlainDense").asDouble();
    double sparse = report.at("/tables/0/psnrToPlain").asDouble();
    assertTrue(dense > 25 && dense < 80, report.toString());
    assertTrue(sparse > 25 && sparse < 80, report.toString());
    assertTrue(
        run.out()
            .matches(
                "(?s).*Attention in e4m3; PSNR against the same run in bf16:"
                    + " dense \\d+\\.\\d\\d dB, density 0\\.\\d+ \\d+\\.\\d\\d dB\\.\n.*"),
        run.out());
  }

  @Test
  void theSearchIsWorthMoreThanItsBaselines() throws Exception {
    Run run =
        Run.svdit(
            "demo",
            "--baselines",
            "--calibrate",
            "bunny",
            "--prompts",
            "horse",
            "--densities",
            "0.4",
            "--steps",
            "3",
            "--guidance",
            "1",
            "--json",
            "--out",
            folder.resolve("none").toString());
    assertEquals(0, run.code(), run.err());
    JsonNode rows = new ObjectMapper().readTree(run.out());
    assertEquals(4, rows.size());
    double searched = rows.path(0).path("psnr").asDouble();
    double shuffled = rows.path(3).path("psnr").asDouble();
    assertTrue(searched > shuffled + 1, run.out());
    for (JsonNode row : rows) {
      assertTrue(row.path("density").asDouble() <= 0.4, run.out());
      assertTrue(row.path("psnr").asDouble() < 60, run.out());
    }
    assertEquals(
        rows.path(0).path("density").asDouble(), rows.path(3).path("density").asDouble(), 1e-12);
    assertFalse(Files.exists(folder.resolve("none")));
  }

  @Test
  void promptsOfTheSearchAreNotJudgedOn() {
    Run run = Run.svdit("demo", "--calibrate", "horse,dog", "--prompts", "dog");
    assertEquals(2, run.code());
    assertTrue(run.err().contains("prompt dog is in --calibrate and in --prompts"), run.err());
  }
}
