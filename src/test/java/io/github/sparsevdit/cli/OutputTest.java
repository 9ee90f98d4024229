package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.OtherJvm;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is written is whole, or the command says that it is not. */
class OutputTest {
  private static final String TINY = "calibration/tiny-wan";
  @TempDir Path folder;

  private Path table(int frames, int heads) {
    Path table = folder.resolve("table.json");
    new DispatchTable(
            new ModelShape("toy", 6, heads, 64),
            Sequence.video(frames, 2, 4),
            16,
            null,
            List.of(Phase.full(1000, 0)))
        .write(table);
    return table;
  }

  @Test
  void aFullStandardOutput() throws Exception {
    for (String[] command :
        new String[][] {{"plan", "hunyuanvideo", "--no-time", "--json"}, {"plan"}, {"--help"}}) {
      String said =
          new OtherJvm()
              .within(List.of("sh", "-c", "\"$0\" \"$@\" > /dev/full; echo code $?"))
              .run(Main.class, command);
      assertTrue(said.contains("standard output could not be written"), said);
      assertTrue(said.endsWith("code 1\n"), said);
    }
    String piped =
        new OtherJvm()
            .within(List.of("sh", "-c", "{ \"$0\" \"$@\"; echo code $? >&2; } | true"))
            .run(Main.class, "plan", "hunyuanvideo", "--no-time", "--json");
    assertFalse(piped.contains("standard output"), piped); // as other programs before head
  }

  /** A limit on the size of files stands in for a full disk: neither error names the file. */
  @Test
  void aFileThatDoesNotFit() throws Exception {
    Path svg = folder.resolve("map.svg");
    String said =
        new OtherJvm()
            .option("-XX:-UsePerfData")
            .within(List.of("sh", "-c", "ulimit -f 2; \"$0\" \"$@\"; echo code $?"))
            .run(Main.class, "show", table(2, 40).toString(), "--svg", svg.toString());
    assertTrue(said.contains("svdit show: cannot write " + svg + ": "), said);
    assertTrue(said.endsWith("code 1\n"), said);
    assertFalse(Files.exists(svg));
  }

  /** The temporary file's name is nobody's business. */
  @Test
  void aFolderThatIsNotThere() {
    Path out = folder.resolve("none/table.json");
    Run run =
        Run.svdit(
            "search",
            TINY,
            "--prompts",
            "bunny",
            "--steps",
            "2",
            "--latents",
            "2x8x16",
            "--block",
            "16",
            "--phases",
            "0",
            "--cost",
            "sparsity",
            "--target-density",
            "0.9",
            "--out",
            out.toString());
    assertFalse(run.err().contains(".tmp"), run.err());
    assertTrue(run.code() == 0 || run.err().contains(out.toString()), run.err());
  }

  @Test
  void whatIsNoNumberIsNull() throws IOException {
    ObjectNode node = Json.object().put("nan", Double.NaN).put("one", 1.5);
    node.putArray("list").add(Double.POSITIVE_INFINITY).addObject().put("x", Float.NaN);
    JsonNode read = new ObjectMapper().readTree(Json.text(node));
    assertTrue(read.get("nan").isNull() && read.at("/list/0").isNull(), read.toString());
    assertTrue(read.at("/list/1/x").isNull(), read.toString());
    assertEquals(1.5, read.get("one").doubleValue());

    Run same =
        Run.svdit(
            "generate",
            TINY,
            "--prompt",
            "bunny",
            "--steps",
            "2",
            "--latents",
            "2x8x16",
            "--table",
            table(2, 4).toString(),
            "--compare",
            "--json",
            "--out",
            folder.resolve("v").toString());
    assertEquals(0, same.code(), same.err());
    for (JsonNode value : new ObjectMapper().readTree(same.out())) {
      assertFalse(value.asText().matches("NaN|-?Infinity"), same.out());
    }
  }

  /** The command line speaks of its option. */
  @Test
  void aTableOfAnotherSize() {
    for (String[] command :
        new String[][] {
          {
            "generate",
            TINY,
            "--prompt",
            "bunny",
            "--steps",
            "2",
            "--latents",
            "2x8x16",
            "--out",
            folder.resolve("v").toString()
          },
          {"plan", TINY, "--size", "48x64", "--frames", "8", "--no-time"}
        }) {
      String[] whole = java.util.Arrays.copyOf(command, command.length + 2);
      whole[command.length] = "--table";
      whole[command.length + 1] = table(3, 4).toString();
      Run run = Run.svdit(whole);
      assertEquals(1, run.code(), run.out());
      assertTrue(run.err().contains("table.json was searched on 3x2x4"), run.err());
      assertTrue(run.err().contains("--rescale carries it over"), run.err());
      assertFalse(run.err().contains("rescale(sequence)"), run.err());
    }
  }
}
