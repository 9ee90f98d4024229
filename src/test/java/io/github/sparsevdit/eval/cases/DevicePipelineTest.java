package io.github.sparsevdit.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole pipelines on a CUDA device in bf16, against diffusers in fp32. */
@Tag("cuda")
class DevicePipelineTest {
  @ParameterizedTest
  @ValueSource(strings = {"wan2.1-i2v", "hunyuanvideo-t2v"}) // every encoder, two VAEs
  void agreesWithDiffusers(String name) {
    try {
      Backend.probe(Backend.Kind.CUDA, 0);
    } catch (BackendUnavailableException none) {
      assumeTrue(false, none.getMessage());
    }
    try (Backend backend = Backend.cuda(0)) {
      for (ReferenceCase each : ReferenceCases.find(PipelineCasesTest.CASES.resolve(name))) {
        CaseResult result = each.run(backend);
        assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
      }
    }
  }
}
