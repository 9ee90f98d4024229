package newcomer;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;
import java.util.Random;

/** One layer of two heads, one dense and one diagonal, against the formula written out. */
public final class Main {
  private static final int TOKENS = 2 * 4 * 16;
  private static final int DIM = 16;
  private static final int BLOCK = 32;

  private Main() {}

  public static void main(String[] args) {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan =
            backend.plan(
                Sequence.video(2, 4, 16),
                ElementType.FP32,
                DIM,
                BLOCK,
                List.of(Pattern.full(), Pattern.diagonal(0)));
        Tensor q = random(backend, 1);
        Tensor k = random(backend, 2);
        Tensor v = random(backend, 3);
        Tensor out = backend.allocate(ElementType.FP32, 1, 2, TOKENS, DIM)) {
      plan.run(q, k, v, out);
      double difference =
          Math.max(
              difference(0, TOKENS, q.toFloats(), k.toFloats(), v.toFloats(), out.toFloats()),
              difference(1, BLOCK, q.toFloats(), k.toFloats(), v.toFloats(), out.toFloats()));
      boolean named = Backend.class.getModule().isNamed();
      System.out.printf(
          "%s path: %s; largest difference %.1e%n",
          named ? "module" : "class", backend.describe(), difference);
      if (!(difference < 1e-5)) {
        throw new AssertionError("the library and the formula differ by " + difference);
      }
    }
  }

  private static Tensor random(Backend backend, long seed) {
    Random random = new Random(seed);
    float[] values = new float[2 * TOKENS * DIM];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return backend.allocate(ElementType.FP32, 1, 2, TOKENS, DIM).copyFrom(values);
  }

  /** Of head, whose queries see the keys of their own `span` tokens only. */
  private static double difference(
      int head, int span, float[] q, float[] k, float[] v, float[] out) {
    double largest = 0;
    int base = head * TOKENS;
    for (int row = 0; row < TOKENS; row++) {
      int first = row / span * span;
      double[] weight = new double[span];
      double sum = 0;
      for (int key = 0; key < span; key++) {
        double dot = 0;
        for (int d = 0; d < DIM; d++) {
          dot += (double) q[(base + row) * DIM + d] * k[(base + first + key) * DIM + d];
        }
        weight[key] = Math.exp(dot / Math.sqrt(DIM));
        sum += weight[key];
      }
      for (int d = 0; d < DIM; d++) {
        double expected = 0;
        for (int key = 0; key < span; key++) {
          expected += weight[key] / sum * v[(base + first + key) * DIM + d];
        }
        largest = Math.max(largest, Math.abs(expected - out[(base + row) * DIM + d]));
      }
    }
    return largest;
  }
}
