package io.github.sparsevdit.jmh;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** oneDNN's product, timed as the roofline, is the product. */
class ProductParityTest {
  @TestFactory
  Stream<DynamicTest> products() {
    return BenchmarkParityTest.tests(
        ProductBenchmark.class,
        benchmark -> {
          benchmark.setUp();
          try {
            benchmark.product();
            Tensor[] tensors = benchmark.tensors();
            int size = ProductBenchmark.SIZE;
            for (int row : new int[] {0, 1000, size - 1}) {
              float[] x = tensors[0].select(0, row).toFloats();
              float[] y = tensors[2].select(0, row).toFloats();
              for (int column = 0; column < size; column += 97) {
                float[] weight = tensors[1].select(0, column).toFloats();
                double sum = 0;
                for (int i = 0; i < size; i++) {
                  sum += (double) x[i] * weight[i];
                }
                // Half a unit in the last place of y's type, and fp32 sums of terms of about 1.
                double unit = benchmark.type == ElementType.BF16 ? 0x1p-8 : 0x1p-24;
                double sums = 0x1p-23 * size;
                assertEquals(sum, y[column], Math.abs(sum) * unit + sums, row + ", " + column);
              }
            }
          } finally {
            benchmark.tearDown();
          }
        });
  }
}
