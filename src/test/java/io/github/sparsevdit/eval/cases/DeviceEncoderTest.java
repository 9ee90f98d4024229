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

/** An encoder of each kind on a CUDA device, against what transformers computed in fp32. */
@Tag("cuda")
class DeviceEncoderTest {
  private static final Path CASES =
      Path.of(System.getProperty("svdit.cases", "src/test/resources/cases"), "text_encoders");

  @BeforeAll
  static void requireDevice() {
    try {
      Backend.probe(Backend.Kind.CUDA, 0);
    } catch (BackendUnavailableException none) {
      assumeTrue(false, none.getMessage());
    }
  }

  /** The bound of bf16 is that of the CPU, which EncoderCasesTest derives. */
  @ParameterizedTest
  @CsvSource({
    "umt5-sharded, BF16, 0.03",
    "t5-v1_1, FP32, 1e-5",
    "llama, FP32, 1e-5",
    "clip-text-eos2, FP32, 1e-5",
    "clip-vision, FP32, 1e-5",
  })
  void agreesWithTransformers(String name, ElementType type, double bound) {
    EncoderCase one = (EncoderCase) ReferenceCases.find(CASES.resolve(name)).getFirst();
    try (Backend backend = Backend.cuda(0)) {
      CaseResult result = one.run(backend, type, bound);
      assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
    }
  }
}
