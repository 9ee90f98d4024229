package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ShowCommandTest {
  @TempDir Path folder;
  private String table;

  @BeforeEach
  void writeATable() {
    HeadEntry full = new HeadEntry(Pattern.full(), 1, 0);
    HeadEntry skip = new HeadEntry(Pattern.skip(), 0, 0.01);
    HeadEntry band = new HeadEntry(Pattern.multiDiagonal(64, 1, 3), 0.5, 0.02);
    HeadEntry stripe = new HeadEntry(Pattern.verticalStripe(2), 0.25, 0.03);
    DispatchTable written =
        new DispatchTable(
            new ModelShape("toy", 2, 2, 64),
            Sequence.video(4, 8, 8),
            64,
            null,
            List.of(
                Phase.full(1000, 900),
                new Phase(900, 0, List.of(List.of(full, skip), List.of(band, stripe)))));
    table = folder.resolve("table.json").toString();
    written.write(Path.of(table));
  }

  @Test
  void theMapIsPrinted() {
    Run run = Run.svdit("show", table);
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().startsWith("toy\n4x8x8 tokens, block 64\n"), run.out());
    assertTrue(run.out().contains("timesteps 1000 to 900\n"), run.out());
    assertTrue(run.out().contains("    1 M 50 V 25\n"), run.out());
    assertTrue(run.out().contains("F full 5   S skip 1"), run.out());
    assertEquals("", run.err());
  }

  @Test
  void theSummaryIsJson() throws IOException {
    Run run = Run.svdit("show", table, "--json");
    JsonNode summary = new ObjectMapper().readTree(run.out());
    assertEquals(5, summary.at("/headsPerMode/full").asInt());
    assertEquals(1, summary.at("/headsPerMode/multi-diagonal").asInt());
    assertEquals(1.0, summary.at("/phases/0/density").asDouble());
    assertEquals(1.75 / 4, summary.at("/phases/1/density").asDouble());
  }

  @Test
  void thePicturesShowTheModes() throws IOException {
    Path png = folder.resolve("new folder/map.png");
    Path svg = folder.resolve("map.svg");
    Run run = Run.svdit("show", table, "--png", png.toString(), "--svg", svg.toString());
    assertEquals(0, run.code(), run.err());
    BufferedImage image = ImageIO.read(png.toFile());
    int orange = 0;
    int grey = 0;
    for (int y = 0; y < image.getHeight(); y++) {
      for (int x = 0; x < image.getWidth(); x++) {
        orange += near(image.getRGB(x, y), 0xe9aa1e) ? 1 : 0; // multi-diagonal, shaded for 0.5
        grey += (image.getRGB(x, y) & 0xffffff) == 0x4d4d4d ? 1 : 0; // full
      }
    }
    int cell = 4 * 72 * 38; // pixels, two to the unit each way
    assertTrue(orange > cell / 2 && orange < 2 * cell, orange + " orange pixels");
    assertTrue(grey > 5 * cell / 2 && grey < 6 * cell, grey + " grey pixels");
    assertTrue(Files.readString(svg).contains("±64 +2"));
  }

  private static boolean near(int rgb, int wanted) {
    for (int shift = 0; shift < 24; shift += 8) {
      if (Math.abs((rgb >> shift & 255) - (wanted >> shift & 255)) > 6) {
        return false;
      }
    }
    return true;
  }
}
