package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** From a checkpoint to a table to latents, on a tiny checkpoint with random weights. */
class ChainTest {
  @TempDir static Path folder;
  private static String checkpoint;
  private static String embeddings;

  @BeforeAll
  static void makeEmbeddings() throws Exception {
    var config =
        ChainTest.class.getClassLoader().getResource("cases/denoisers/wan2.1-t2v-tiny/config.json");
    checkpoint = Path.of(config.toURI()).getParent().toString();
    Path file = folder.resolve("prompts.safetensors");
    embeddings = file.toString();
    try (Arena arena = Arena.ofConfined()) {
      Safetensors.write(file, Map.of("a", prompt(arena, 1), "b", prompt(arena, 2)), Map.of());
    }
  }

  private static Tensor prompt(Arena arena, long seed) {
    Random random = new Random(seed);
    float[] values = new float[12 * 24];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.of(arena.allocate(4L * values.length, 64), ElementType.FP32, 12, 24)
        .copyFrom(values);
  }

  private static String[] with(String command, String... more) {
    String[] common = {
      command, checkpoint, "--embeddings", embeddings, "--latents", "3x16x12", "--steps", "4"
    };
    String[] all = Arrays.copyOf(common, common.length + more.length);
    System.arraycopy(more, 0, all, common.length, more.length);
    return all;
  }

  @Test
  void searchThenGenerateAndCompare() throws Exception {
    Path table = folder.resolve("table.json");
    Path state = folder.resolve("search.state");
    String[] search =
        with(
            "search",
            "--prompts",
            "a",
            "--block",
            "16",
            "--phases",
            "0,2",
            "--share",
            "1",
            "--target-density",
            "0.5",
            "--resume",
            state.toString(),
            "--out",
            table.toString());
    Run run = Run.svdit(search);
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("density"), run.out());
    assertTrue(run.out().endsWith("wrote " + table + "\n"), run.out());
    DispatchTable read = DispatchTable.read(table);
    assertEquals(2, read.phases().size());
    assertEquals(16, read.block());
    assertTrue(Files.size(state) > 0);
    String first = Files.readString(table);
    assertEquals(0, Run.svdit(search).code());
    assertEquals(first, Files.readString(table), "a resumed search gives the same table");

    Path stem = folder.resolve("made/b");
    Run made =
        Run.svdit(
            with(
                "generate",
                "--prompt",
                "b",
                "--table",
                table.toString(),
                "--compare",
                "--json",
                "--out",
                stem.toString()));
    assertEquals(0, made.code(), made.err());
    JsonNode report = new ObjectMapper().readTree(made.out());
    assertTrue(report.path("density").asDouble() <= 0.5, made.out());
    double difference = report.path("relativeDifference").asDouble();
    assertTrue(difference > 0 && difference < 1, made.out());
    try (var dense = Safetensors.open(folder.resolve("made/b-dense.safetensors"));
        var sparse = Safetensors.open(folder.resolve("made/b-sparse.safetensors"))) {
      assertEquals("[4, 3, 16, 12]", shape(dense.tensor("latents")));
      assertEquals("[4, 3, 16, 12]", shape(sparse.tensor("latents")));
    }
  }

  private static String shape(Tensor tensor) {
    return Arrays.toString(tensor.shape());
  }

  @Test
  void aCaptureGivesTheTableOfTheRunningDenoiser() throws Exception {
    Path capture = folder.resolve("capture");
    Run captured =
        Run.svdit(
            with("capture", "--prompts", "a,b", "--type", "fp32", "--out", capture.toString()));
    assertEquals(0, captured.code(), captured.err());
    assertTrue(captured.err().startsWith("capture: 32 points"), captured.err()); // 2 · 4 · 2 · 2
    Path one = folder.resolve("one.json");
    Path two = folder.resolve("two.json");
    String[] rules = {
      "--block", "16", "--phases", "0", "--share", "1", "--lambda", "0.05", "--out"
    };
    Run live =
        Run.svdit(
            concat(with("search", "--prompts", "a,b", "--type", "fp32"), rules, one.toString()));
    assertEquals(0, live.code(), live.err());
    Run offline =
        Run.svdit(concat(new String[] {"search", capture.toString()}, rules, two.toString()));
    assertEquals(0, offline.code(), offline.err());
    assertEquals(
        DispatchTable.read(one).phases().toString(), DispatchTable.read(two).phases().toString());
  }

  private static String[] concat(String[] a, String[] b, String last) {
    return Stream.of(a, b, new String[] {last}).flatMap(Arrays::stream).toArray(String[]::new);
  }

  @Test
  void anUnknownPromptIsNamedWithThoseThereAre() {
    Run run = Run.svdit(with("generate", "--prompt", "z", "--out", folder.resolve("z").toString()));
    assertEquals(1, run.code());
    assertEquals("svdit generate: there is no prompt 'z'; there are a, b\n", run.err());
  }

  @Test
  void whatACheckpointLacksIsNamed() {
    Run noSize = Run.svdit("generate", checkpoint, "--embeddings", embeddings, "--prompt", "a");
    assertEquals(1, noSize.code());
    assertTrue(noSize.err().contains("give --latents"), noSize.err());
    Run noPrompts = Run.svdit("generate", checkpoint, "--latents", "3x16x12", "--prompt", "a");
    assertEquals(1, noPrompts.code());
    assertTrue(noPrompts.err().contains("name a file with --embeddings"), noPrompts.err());
    Run nothing = Run.svdit("generate", folder.toString(), "--prompt", "a");
    assertEquals(1, nothing.code());
    assertTrue(nothing.err().contains("is no checkpoint"), nothing.err());
  }
}
