package io.github.sparsevdit.jmh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.model.wan.WanBlockRun;
import io.github.sparsevdit.tensor.ElementType;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * The block that is timed computes what the same block computes in fp32, the type in which the
 * reference cases hold the denoisers to diffusers' numbers.
 */
class BlockParityTest {
  /**
   * How often what a block adds to the stream is rounded to BF16 on its way, at most: 7 times in
   * self-attention, 5 in cross-attention, 3 in the feed-forward part.
   */
  private static final int ROUNDINGS = 15;

  @TestFactory
  Stream<DynamicTest> blocks() {
    return BenchmarkParityTest.tests(
        BlockBenchmark.class,
        benchmark -> {
          benchmark.setUp();
          try {
            WanBlockRun block = benchmark.computed();
            float[] before = block.hidden();
            block.run();
            float[] plain = block.hidden();
            block.reset();
            assertArrayEquals(before, block.hidden());
            BlockBenchmark.Parts parts = new BlockBenchmark.Parts();
            long begin = System.nanoTime();
            benchmark.block(parts);
            double millis = 1e-6 * (System.nanoTime() - begin);
            assertArrayEquals(plain, block.hidden(), "timed, it computes something else");
            double sum = parts.products + parts.attention + parts.others;
            assertTrue(sum <= millis && sum > 0.99 * millis, sum + " of " + millis + " ms");
            requireCloseToFp32(before, plain);
            benchmark.productWithoutGelu();
            float[] product = block.product();
            benchmark.productWithGelu();
            requireGelu(product, block.product());
          } finally {
            benchmark.tearDown();
          }
        });
  }

  /** Both are rounded to BF16; the GELU is nowhere steeper than 1.13. */
  private static void requireGelu(float[] x, float[] computed) {
    for (int i = 0; i < x.length; i++) {
      double inner = Math.sqrt(2 / Math.PI) * (x[i] + 0.044715 * Math.pow(x[i], 3));
      double expected = 0.5 * x[i] * (1 + Math.tanh(inner));
      double bound = 0x1p-8 * (1.13 * Math.abs(x[i]) + Math.abs(expected)) + 1e-6;
      assertEquals(expected, computed[i], bound);
    }
  }

  private static void requireCloseToFp32(float[] before, float[] computed) {
    try (Backend backend = Backend.cpu(new CpuOptions(Attention.THREADS, CpuOptions.Tier.AUTO));
        WanBlockRun block = new WanBlockRun(backend, ElementType.FP32)) {
      assertArrayEquals(before, block.hidden());
      block.run();
      float[] exact = block.hidden();
      double error = 0;
      double added = 0;
      for (int i = 0; i < exact.length; i++) {
        error += Math.pow(computed[i] - exact[i], 2);
        added += Math.pow(exact[i] - before[i], 2);
      }
      double relative = Math.sqrt(error / added);
      assertTrue(added > exact.length * 0.01, "the block adds nothing");
      assertTrue(relative > 0 && relative <= ROUNDINGS * 0x1p-9, "relative error " + relative);
    }
  }
}
