package io.github.sparsevdit.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** VAEs on a CUDA device against what diffusers computed. */
@Tag("cuda")
class DeviceVaeTest {
  private static final Path CASES =
      Path.of(System.getProperty("svdit.cases", "src/test/resources/cases"), "vaes");

  @BeforeAll
  static void requireDevice() {
    try {
      Backend.probe(Backend.Kind.CUDA, 0);
    } catch (BackendUnavailableException none) {
      assumeTrue(false, none.getMessage());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "wan2.1, BF16, 0.1", // as on the CPU: see VaeCaseTest
    "hunyuanvideo, FP32, 1e-4",
    "cogvideox1.5, FP32, 1e-4",
  })
  void agreesWithDiffusers(String name, ElementType type, double bound) {
    try (Backend backend = Backend.cuda(0)) {
      CaseResult result = new VaeCase(CASES.resolve(name)).run(backend, type, bound);
      assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
    }
  }
}
