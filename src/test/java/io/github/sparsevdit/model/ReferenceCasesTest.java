package io.github.sparsevdit.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.eval.cases.CaseResult;
import io.github.sparsevdit.eval.cases.ReferenceCase;
import io.github.sparsevdit.eval.cases.ReferenceCases;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Denoisers, schedulers, VAEs and whole runs against what diffusers computed. */
class ReferenceCasesTest {
  private static final Path CASES =
      Path.of(System.getProperty("svdit.cases", "src/test/resources/cases"));
  private static Backend backend;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @ParameterizedTest
  @CsvSource({
    "schedulers/unipc-flow-shift5.safetensors, 2e-6",
    "schedulers/flow-match-euler-shift7.safetensors, 2e-6",
    "schedulers/cogvideox-ddim.safetensors, 2e-6",
    "schedulers/cogvideox-dpm.safetensors, 2e-6",
    "denoisers/wan2.1-t2v-tiny, 1e-5",
    "denoisers/wan2.1-t2v-tiny-sharded, 1e-5",
    "denoisers/wan2.1-i2v-tiny, 1e-5",
    "denoisers/wan2.1-i2v-image-tiny, 1e-5",
    "denoisers/wan2.2-ti2v-tiny, 1e-5",
    "denoisers/hunyuanvideo-t2v-tiny, 1e-5",
    "denoisers/cogvideox1.5-t2v-tiny, 1e-5",
    "denoisers/cogvideox1.5-i2v-tiny, 1e-5",
    "vaes/wan2.1, 1e-4",
    "vaes/wan2.2-residual, 1e-4",
    "vaes/hunyuanvideo, 1e-4",
    "vaes/cogvideox1.5, 1e-4",
    "runs/wan2.1.safetensors, 1e-4",
    "runs/wan2.1-i2v.safetensors, 1e-4",
    "runs/wan2.2-ti2v.safetensors, 1e-4",
    "runs/wan2.2-i2v.safetensors, 1e-4",
    "runs/hunyuanvideo.safetensors, 1e-4",
    "runs/cogvideox1.5.safetensors, 1e-4",
    "runs/cogvideox1.5-i2v.safetensors, 1e-4",
  })
  void agreesWithDiffusers(String path, double bound) {
    List<ReferenceCase> cases = ReferenceCases.find(CASES.resolve(path));
    assertEquals(1, cases.size());
    CaseResult result = cases.get(0).run(backend);
    assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
    assertTrue(result.bound() <= bound, result::toString);
  }
}
