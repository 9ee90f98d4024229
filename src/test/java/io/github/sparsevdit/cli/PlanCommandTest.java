package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PlanCommandTest {
  @TempDir Path folder;

  /** The paper's dense PFLOP, and the attention densities that its sparse ones amount to. */
  @ParameterizedTest
  @CsvSource({
    "cogvideox1.5-5b, 147.87, 0.001, 70.69, 0.265",
    "hunyuanvideo, 612.37, 0.016, 257.09, 0.320",
    "wan2.1-t2v-14b, 660.49, 0.016, 397.39, 0.438"
  })
  void agreesWithThePaper(String model, double dense, double within, double sparse, double density)
      throws IOException {
    JsonNode plan = json("plan", model, "--no-time", "--json");
    assertEquals(dense, plan.get("densePflop").doubleValue(), within * dense);
    assertEquals(dense, plan.at("/paper/densePflop").doubleValue());
    assertEquals(sparse, plan.at("/paper/sparsePflop").doubleValue());
    assertEquals(density, plan.at("/paper/impliedDensity").doubleValue(), 0.001);
    String text = Run.svdit("plan", model, "--no-time").out();
    assertTrue(text.contains(String.valueOf(sparse)) && text.contains(String.valueOf(dense)), text);
  }

  /** PFLOP of whole dense runs and the share of attention, counted apart from this code. */
  @ParameterizedTest
  @CsvSource({
    "cogvideox1.5-5b, 147.92, 0.710",
    "hunyuanvideo, 603.43, 0.866",
    "wan2.1-t2v-14b, 652.34, 0.718",
    "wan2.1-t2v-1.3b, 28.30, "
  })
  void countsWholeRuns(String model, double pflop, Double share) throws IOException {
    JsonNode plan = json("plan", model, "--no-time", "--json");
    assertEquals(pflop, plan.get("densePflop").doubleValue(), 0.02);
    if (share != null) {
      double attention = plan.get("attentionPflop").doubleValue();
      assertEquals(share, attention / plan.get("densePflop").doubleValue(), 0.0005);
    }
  }

  @Test
  void listsThePublishedModels() throws IOException {
    Run run = Run.svdit("plan");
    assertEquals(0, run.code(), run.err());
    assertEquals(16, run.out().lines().count(), run.out()); // 14 runs, heading, footer
    assertTrue(run.out().matches("(?s).*wan2.2-ti2v-5b +704x1280x121 +27280 .*"), run.out());
    assertEquals(14, json("plan", "--json").get("models").size());
  }

  @Test
  void aTableSaysHowDenseEachStepAndLayerIs() throws IOException {
    Sequence sequence = Sequence.video(21, 30, 52);
    ModelShape shape = new ModelShape("", 30, 12, 128);
    HeadEntry full = new HeadEntry(Pattern.full());
    HeadEntry skip = new HeadEntry(Pattern.skip());
    List<HeadEntry> half = new java.util.ArrayList<>(Collections.nCopies(6, full));
    half.addAll(Collections.nCopies(6, skip));
    List<List<HeadEntry>> layers = new java.util.ArrayList<>(Collections.nCopies(29, half));
    layers.add(Collections.nCopies(12, skip));
    Path table = folder.resolve("table.json");
    new DispatchTable(
            shape, sequence, 128, null, List.of(Phase.full(1000, 900), new Phase(900, 0, layers)))
        .write(table);
    JsonNode plan =
        json("plan", "wan2.1-t2v-1.3b", "--no-time", "--table", table.toString(), "--json");
    int dense = 0;
    for (JsonNode step : plan.get("densities")) {
      if (step.get(0).doubleValue() == 1) {
        dense++;
      } else {
        assertEquals(0.5, step.get(3).doubleValue());
        assertEquals(0, step.get(29).doubleValue());
      }
    }
    assertTrue(dense > 0 && dense < 50, dense + " dense steps");
    double expected = (dense + (50 - dense) * 0.5 * 29 / 30) / 50;
    assertEquals(expected, plan.get("density").doubleValue(), 1e-9);
    assertEquals(
        plan.get("productsPflop").doubleValue() + expected * plan.get("attentionPflop").asDouble(),
        plan.get("sparsePflop").doubleValue(),
        1e-9);

    Run other = Run.svdit("plan", "wan2.1-t2v-14b", "--no-time", "--table", table.toString());
    assertEquals(1, other.code());
    assertTrue(other.err().contains("30 layers") && other.err().contains("40 layers"), other.err());
  }

  @Test
  void aCheckpointsOwnGeometry() throws IOException {
    JsonNode plan =
        json(
            "plan",
            "calibration/tiny-wan",
            "--size",
            "48x64",
            "--frames",
            "8",
            "--steps",
            "20",
            "--no-time",
            "--json");
    assertEquals("8x12x16", size(plan));
    Run bare = Run.svdit("plan", "calibration/tiny-wan", "--no-time");
    assertEquals(1, bare.code());
    assertTrue(bare.err().contains("--size HxW and --frames N"), bare.err());
    assertTrue(Run.svdit("plan", "sora").err().contains("wan2.1-t2v-14b"));
    JsonNode changed = json("plan", "hunyuanvideo", "--set", "num_layers=0", "--no-time", "--json");
    assertFalse(changed.has("paper"));
    assertEquals(2. / 3, changed.get("densePflop").doubleValue() / 603.43, 1e-4);
  }

  /** A folder gives what its name gives. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "wan2.2-ti2v-5b | 1 | {'_class_name': 'AutoencoderKLWan', 'scale_factor_spatial': 16} | 27280 | 51.69",
        "wan2.2-ti2v-5b | 1 | | 27280 | 51.69",
        "wan2.2-t2v-a14b | 2 | {'_class_name': 'AutoencoderKLWan'} | 75600 | 521.87",
        "wan2.1-t2v-14b | 1 | {'_class_name': 'AutoencoderKLWan'} | 75600 | 652.34",
        "hunyuanvideo | 1 | {'spatial_compression_ratio': 8, 'temporal_compression_ratio': 4} | 119056 | 603.43",
        "cogvideox1.5-5b | 1 | {'_class_name': 'AutoencoderKLCogVideoX', 'block_out_channels': [128, 256, 256, 512]} | 45106 | 147.92",
      })
  void aFolderGivesWhatItsNameGives(String name, int networks, String vae, int tokens, double pflop)
      throws IOException {
    Path pipeline = pipeline(name, networks, vae);
    JsonNode named = json("plan", name, "--no-time", "--json");
    JsonNode plan = json("plan", pipeline.toString(), "--no-time", "--json");
    for (String same :
        new String[] {
          "height", "width", "frames", "steps", "passes", "sequence", "densePflop", "weightBytes"
        }) {
      assertEquals(named.get(same), plan.get(same), same);
    }
    assertEquals(tokens, plan.at("/sequence/tokens").intValue());
    assertEquals(pflop, plan.get("densePflop").doubleValue(), 0.02);
    assertTrue(plan.get("assumed").toString().contains("of its usual run"), plan.toString());
    assertEquals(vae == null, plan.get("assumed").toString().contains("no vae/config.json"));
    String text = Run.svdit("plan", pipeline.toString(), "--no-time").out();
    assertTrue(text.contains("assumed         --steps "), text);

    // What is given is not assumed, and the same.
    String size = plan.get("height") + "x" + plan.get("width");
    String frames = plan.get("frames").toString();
    JsonNode given =
        json(
            "plan", pipeline.toString(), "--size", size, "--frames", frames, "--no-time", "--json");
    assertEquals(plan.get("densePflop"), given.get("densePflop"));
    assertFalse(given.get("assumed").toString().contains("--size"), given.toString());
  }

  /** A transformer alone is one network, whatever lies beside it. */
  @Test
  void aPartOfAPipelineIsPlannedAlone() throws IOException {
    Path pipeline = pipeline("wan2.2-t2v-a14b", 2, "{'_class_name': 'AutoencoderKLWan'}");
    double whole =
        json("plan", pipeline.toString(), "--no-time", "--json").get("weightBytes").asDouble();
    for (String part : new String[] {"transformer", "transformer_2", "transformer/config.json"}) {
      JsonNode plan = json("plan", pipeline.resolve(part).toString(), "--no-time", "--json");
      assertEquals(whole / 2, plan.get("weightBytes").asDouble(), part);
    }
    assertEquals(57.2, whole * 1e-9, 0.05);
  }

  private Path pipeline(String name, int networks, String vae) throws IOException {
    Path pipeline = Files.createDirectories(folder.resolve("pipeline"));
    String config = ModelProfile.named(name).config();
    for (int i = 1; i <= networks; i++) {
      Path home = pipeline.resolve(i == 1 ? "transformer" : "transformer_2");
      Files.writeString(Files.createDirectories(home).resolve("config.json"), config);
    }
    Files.writeString(
        pipeline.resolve("model_index.json"),
        "{\"vae\": [\"diffusers\", \"X\"]" + (networks == 2 ? ", \"boundary_ratio\": 0.9}" : "}"));
    if (vae != null) {
      Path home = Files.createDirectories(pipeline.resolve("vae"));
      Files.writeString(home.resolve("config.json"), vae.replace("'", "\""));
    }
    return pipeline;
  }

  /** Videos that no model makes are refused: option, value, nearest that do. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "wan2.1-t2v-14b | --frames 80 | --frames 80 is no length | 77 and 81",
        "wan2.1-t2v-14b | --size 481x833 | --size 481x833: height and width must be multiples of 16 | height 480 or 496 and width 832 or 848",
        "wan2.1-t2v-14b | --size 488x840 | --size 488x840: height and width must be multiples of 16 | height 480 or 496 and width 832 or 848",
        "wan2.1-t2v-14b | --size 8x832 | --size 8x832: height | height 16 and width 832",
        "wan2.2-ti2v-5b | --size 720x1280 | --size 720x1280: height and width must be multiples of 32 | height 704 or 736 and width 1280",
        "hunyuanvideo | --frames 130 | --frames 130 is no length | 129 and 133",
        "cogvideox1.5-5b | --size 768x1352 | multiples of 16 | height 768 and width 1344 or 1360",
      })
  void videosThatNoModelMakesAreRefused(
      String model, String option, String expected, String nearest) {
    String[] words = option.split(" ");
    Run run = Run.svdit("plan", model, words[0], words[1], "--no-time");
    assertEquals(2, run.code(), run.out());
    assertTrue(run.err().contains(expected) && run.err().contains(nearest), run.err());
  }

  @ParameterizedTest
  @CsvSource({
    "generate calibration/tiny-wan --prompt bunny, 8x50x64, height 48 or 52 and width 64",
    "search calibration/tiny-wan --out none.json, 8x48x66, height 48 and width 64 or 68",
    "capture calibration/tiny-wan --prompts bunny --out none, 8x2x64, height 4 and width 64",
    "generate src/test/resources/cases/denoisers/cogvideox1.5-t2v-tiny --prompt p, 3x8x12, 2 or 4",
  })
  void latentsThatAreNoPatchesAreRefused(String command, String latents, String nearest) {
    String[] words = (command + " --backend cpu --latents " + latents).split(" ");
    if (command.contains("cogvideox")) {
      words =
          (command
                  + " --embeddings calibration/tiny-wan/prompt_embeds.safetensors --latents "
                  + latents)
              .split(" ");
    }
    Run run = Run.svdit(words);
    assertEquals(1, run.code(), run.out());
    assertTrue(run.err().contains("--latents " + latents), run.err());
    assertTrue(run.err().contains("the nearest are " + nearest), run.err());
  }

  @Test
  void timeIsMeasuredHere() throws IOException {
    JsonNode plan =
        json("plan", "wan2.1-t2v-1.3b", "--density", "0.25", "--backend", "cpu", "--json");
    double attention = plan.at("/estimate/attentionFlops").doubleValue();
    double products = plan.at("/estimate/productFlops").doubleValue();
    assertTrue(attention > 1e9 && products > 1e9, plan.toString());
    double expected =
        1e15
            * (plan.get("productsPflop").doubleValue() / products
                + plan.get("attentionPflop").doubleValue() / 4 / attention);
    assertEquals(expected, plan.at("/estimate/sparseSeconds").doubleValue(), 1e-6 * expected);
  }

  private static String size(JsonNode plan) {
    JsonNode sequence = plan.get("sequence");
    return sequence.get("frames") + "x" + sequence.get("height") + "x" + sequence.get("width");
  }

  private static JsonNode json(String... args) throws IOException {
    Run run = Run.svdit(args);
    assertEquals(0, run.code(), run.err());
    return new ObjectMapper().readTree(run.out());
  }

  /** A table's phases go by timesteps, and these by the folder's own scheduler. */
  @Test
  void aTableGoesByTheFoldersScheduler() throws IOException {
    Path tiny = folder.resolve("tiny");
    for (String name : new String[] {"transformer/config.json", "model_index.json"}) {
      Path target = tiny.resolve(name);
      Files.createDirectories(target.getParent());
      Files.copy(Path.of("calibration/tiny-wan").resolve(name), target);
    }
    List<HeadEntry> skip = Collections.nCopies(4, new HeadEntry(Pattern.skip(), 0, 0));
    Path table = folder.resolve("table.json");
    new DispatchTable(
            new ModelShape("tiny-wan", 6, 4, 64),
            Sequence.video(8, 12, 16),
            64,
            null,
            List.of(Phase.full(1000, 700), new Phase(700, 0, Collections.nCopies(6, skip))))
        .write(table);
    double[] steps = new double[2];
    for (int i = 0; i < 2; i++) {
      Path config = tiny.resolve("scheduler/scheduler_config.json");
      Files.createDirectories(config.getParent());
      Files.writeString(
          config,
          "{\"_class_name\": \"UniPCMultistepScheduler\", \"prediction_type\": \"flow_prediction\","
              + " \"use_flow_sigmas\": true, \"flow_shift\": "
              + (i == 0 ? 1 : 9)
              + "}");
      JsonNode plan =
          json(
              "plan",
              tiny.toString(),
              "--size",
              "48x64",
              "--frames",
              "8",
              "--steps",
              "10",
              "--table",
              table.toString(),
              "--no-time",
              "--json");
      steps[i] = plan.get("density").doubleValue();
    }
    // Levels 1, 0.9, …: three steps above 700 without a shift; with 9, all but the last two.
    assertEquals(0.3, steps[0], 0.11);
    assertEquals(0.8, steps[1], 0.11);
  }
}
