package io.github.sparsevdit.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions.Tier;
import io.github.sparsevdit.OtherJvm;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.TestBackends;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pipeline.UniPc;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A denoiser in bf16 on processors without bf16 instructions, which this one is told to be. */
class NarrowProcessorTest {
  private static final Path WAN = Path.of("src/test/resources/cases/denoisers/wan2.1-t2v-tiny");
  private static final long[] LATENTS = {4, 3, 16, 12};
  private static float[] exact;
  private static double usual; // error in bf16 here
  @TempDir Path folder;

  @BeforeAll
  static void here() {
    exact = forward(ElementType.FP32);
    usual = error(forward(ElementType.BF16));
  }

  @ParameterizedTest
  @CsvSource({"PORTABLE, SSE41", "AVX2, AVX2", "AVX512, AVX512_CORE"})
  void bf16IsComputed(Tier tier, String oneDnn) throws Exception {
    TestBackends.assumeTier(tier);
    Path file = folder.resolve("out.safetensors");
    String printed =
        new OtherJvm()
            .environment("SVDIT_CPU_TIER", tier.name().toLowerCase(Locale.ROOT))
            .environment("ONEDNN_MAX_CPU_ISA", oneDnn)
            .option("-Dsvdit.library=" + Backend.library().path())
            .run(Main.class, file.toString());
    assertEquals("tier " + tier, printed.strip());
    try (Safetensors out = Safetensors.open(file)) {
      double error = error(out.tensor("out").toFloats());
      assertTrue(error <= 2 * usual, "error " + error + "; with what this processor has " + usual);
    }
  }

  @Test
  void theComparisonIsOne() {
    assertTrue(usual > 1e-4 && usual < 0.05, "error in bf16 " + usual);
  }

  /** Mean difference from fp32, as a share of the mean. */
  private static double error(float[] values) {
    double difference = 0;
    double size = 0;
    for (int i = 0; i < exact.length; i++) {
      difference += Math.abs(values[i] - exact[i]);
      size += Math.abs(exact[i]);
    }
    return difference / size;
  }

  static final class Main {
    public static void main(String[] args) {
      float[] out = forward(ElementType.BF16);
      try (Arena arena = Arena.ofShared();
          Backend backend = Backend.cpu()) {
        Tensor tensor =
            Tensor.of(arena.allocate(4L * out.length, 64), ElementType.FP32, out.length);
        Safetensors.write(Path.of(args[0]), Map.of("out", tensor.copyFrom(out)), Map.of());
        System.out.println("tier " + backend.info().tier());
      }
    }
  }

  private static float[] forward(ElementType type) {
    try (Backend backend = Backend.cpu();
        Arena arena = Arena.ofShared();
        VideoTransformer wan = Denoisers.load(WAN, backend, type);
        SparseAttention dense =
            SparseAttention.of(
                backend,
                Policy.dense(wan.shape(), 128),
                wan.sequence(LATENTS),
                new UniPc(1, 3, 2, 1000).schedule(),
                type)) {
      Tensor out = random(arena, LATENTS);
      wan.forward(
          random(arena, LATENTS),
          500,
          Conditioning.text(random(arena, 12, 24)),
          AttentionProvider.of(dense).at(0, 0),
          out);
      return out.toFloats();
    }
  }

  private static Tensor random(Arena arena, long... shape) {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    Random random = new Random(elements);
    float[] values = new float[(int) elements];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.of(arena.allocate(4 * elements, 64), ElementType.FP32, shape).copyFrom(values);
  }
}
