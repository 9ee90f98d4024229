package io.github.sparsevdit.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** VAEs in bf16, and on processors without AVX, against what diffusers computed in fp32. */
class VaeCaseTest {
  private static final Path CASES =
      Path.of(System.getProperty("svdit.cases", "src/test/resources/cases"), "vaes");

  /**
   * bf16 rounds 2^16 times as coarsely as fp32, at the same places: so its error may be as many
   * times that of fp32, which says how much a network enlarges rounding. (Norms over the two
   * channels that the tiny Wan VAE has enlarge it most.)
   */
  @ParameterizedTest
  @ValueSource(strings = {"wan2.1", "wan2.2-residual", "hunyuanvideo", "cogvideox1.5"})
  void inBf16WithinItsRounding(String name) {
    try (Backend backend = Backend.cpu()) {
      VaeCase one = new VaeCase(CASES.resolve(name));
      double bound = Math.min(0.1, 0x1p16 * one.run(backend).error());
      CaseResult result = one.run(backend, ElementType.BF16, bound);
      assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
      assertTrue(result.error() > 1e-4, result::toString); // it is bf16
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"wan2.1", "cogvideox1.5"})
  void inEveryTierTheSame(String name) {
    CpuOptions portable = new CpuOptions(3, CpuOptions.Tier.PORTABLE);
    try (Backend backend = Backend.cpu(portable)) {
      CaseResult result = new VaeCase(CASES.resolve(name)).run(backend);
      assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
    }
  }
}
