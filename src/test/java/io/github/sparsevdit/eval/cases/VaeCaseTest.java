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
   * Every activation is rounded to 8 bits, at some 40 convolutions one after the other: 2^−9 · √40
   * of the values, and as much again where a norm enlarges small ones. fp32 would be at 1e-4, so
   * that it computes in bf16 at all is what the lower bound shows.
   */
  @ParameterizedTest
  @ValueSource(strings = {"wan2.1", "wan2.2-residual", "hunyuanvideo", "cogvideox1.5"})
  void inBf16WithinItsRounding(String name) {
    try (Backend backend = Backend.cpu()) {
      CaseResult result = new VaeCase(CASES.resolve(name)).run(backend, ElementType.BF16, 0.03);
      assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
      assertTrue(result.error() > 1e-4, result::toString);
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
