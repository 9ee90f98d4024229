package io.github.sparsevdit.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** From texts and images to pixels, as diffusers' pipelines give them. */
class PipelineCasesTest {
  static final Path CASES =
      Path.of(System.getProperty("svdit.cases", "src/test/resources/cases"), "pipelines");

  static List<ReferenceCase> cases() {
    return ReferenceCases.find(CASES);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithDiffusers(ReferenceCase each) {
    assertEquals("pipelines", each.family());
    try (Backend backend = Backend.cpu()) {
      CaseResult result = each.run(backend);
      assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
      assertTrue(result.bound() <= 1e-3, result::toString);
    }
  }
}
