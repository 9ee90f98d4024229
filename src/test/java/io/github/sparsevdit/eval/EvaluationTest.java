package io.github.sparsevdit.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pipeline.DenoiserSource;
import io.github.sparsevdit.pipeline.DenoisingProgress;
import io.github.sparsevdit.pipeline.Guidance;
import io.github.sparsevdit.pipeline.RunInputs;
import io.github.sparsevdit.pipeline.Runner;
import io.github.sparsevdit.pipeline.Scheduler;
import io.github.sparsevdit.pipeline.Schedulers;
import io.github.sparsevdit.search.Findings;
import io.github.sparsevdit.search.OfflineSearch;
import io.github.sparsevdit.search.SearchOptions;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * The chain from the search over a running denoiser to the comparison of whole runs, in few steps.
 */
class EvaluationTest {
  private static final Path CHECKPOINT = Path.of("calibration/tiny-wan");
  private static final long[] SHAPE = {3, 8, 48, 64};
  private static final int STEPS = 5;

  private static Scheduler scheduler() {
    return Schedulers.read(CHECKPOINT.resolve("scheduler/scheduler_config.json"), STEPS, 0);
  }

  @Test
  void aSearchedTableBeatsTheBaselines() throws Exception {
    try (Arena arena = Arena.ofShared();
        Backend backend = Backend.cpu();
        VideoTransformer wan = Denoisers.load(CHECKPOINT, backend, ElementType.BF16);
        Safetensors prompts = Safetensors.open(CHECKPOINT.resolve("prompt_embeds.safetensors"))) {
      Conditioning negative =
          Conditioning.text(
              Tensor.of(arena.allocate(8 * 64 * 4, 64), ElementType.FP32, 8, 64)
                  .copyFrom(new float[8 * 64]));
      Guidance guidance = Guidance.of(3);
      List<RunInputs> samples =
          List.of(
              new RunInputs(Conditioning.text(prompts.tensor("kitten")), negative, 1),
              new RunInputs(Conditioning.text(prompts.tensor("train")), negative, 2));
      SearchOptions options =
          SearchOptions.defaults()
              .withBlock(64)
              .withPhaseStarts(List.of(0, 2))
              .withStepsPerPhase(1)
              .withTargetDensity(0.4);
      Findings findings;
      try (DenoiserSource source =
          new DenoiserSource(backend, wan, scheduler(), guidance, SHAPE, samples)) {
        findings = new OfflineSearch(backend, options).measure(source);
      }
      DispatchTable table = findings.table();
      Runner runner =
          new Runner(
              backend, wan, ElementType.BF16, scheduler(), guidance, SHAPE, DenoisingProgress.NONE);
      RunInputs dog = new RunInputs(Conditioning.text(prompts.tensor("dog")), negative, 100);
      Evaluation evaluation = new Evaluation(runner, List.of(dog));

      Report.Row dense = evaluation.score("dense", Policy.dense(wan.shape(), 64));
      assertTrue(dense.meanPsnr() > 45, "dense attention in other blocks: " + dense.meanPsnr());
      Report.Row searched = evaluation.score("searched", table);
      assertTrue(searched.density() <= 0.4 && searched.density() > 0.3);
      assertEquals(24, searched.heads().values().stream().mapToDouble(x -> x).sum(), 1e-9);
      double shuffled = 0;
      for (int seed = 0; seed < 3; seed++) {
        shuffled += evaluation.score("shuffled", Baselines.shuffled(table, seed)).meanPsnr() / 3;
      }
      assertTrue(searched.meanPsnr() > shuffled + 1, searched.meanPsnr() + " against " + shuffled);
      for (Mode mode : List.of(Mode.DIAGONAL, Mode.MULTI_DIAGONAL)) {
        DispatchTable window =
            Baselines.window(
                backend,
                table.model(),
                table.sequence(),
                evaluation.schedule(),
                64,
                mode,
                searched.density(),
                0);
        Report.Row row = evaluation.score(mode.json(), window);
        assertTrue(searched.meanPsnr() > row.meanPsnr() + 1, row.toString());
      }
      double error = evaluation.layerError(table);
      assertTrue(error > 1e-4 && error < 0.3, "layer error " + error);
      Report report = new Report(List.of(dense, searched));
      assertEquals(3, report.render().lines().count());
      JsonNode json = new ObjectMapper().readTree(report.toJson());
      assertEquals(searched.meanPsnr(), json.get(1).get("psnr").doubleValue());
      assertEquals(searched.density(), json.get(1).get("density").doubleValue());
    }
  }

  @Test
  void aReportsMeansAndRatios() {
    Report.Row row =
        new Report.Row(
            "x", Map.of(Mode.SKIP, 2.0), 0.25, List.of(20.0, 30.0), List.of(0.5, 0.7), 4, 2);
    assertEquals(25, row.meanPsnr());
    assertEquals(0.6, row.meanSsim(), 1e-12);
    assertEquals(2, row.speedup());
    assertTrue(new Report(List.of(row)).render().contains("skip 2.0"));
  }
}
