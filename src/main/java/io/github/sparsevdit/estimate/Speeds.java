package io.github.sparsevdit.estimate;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Collections;
import java.util.Random;

/**
 * How fast a backend computes, from a short measurement: what a run's time is estimated with.
 *
 * @param attention FLOP/s of dense self-attention
 * @param products FLOP/s of matrix products; NaN where the backend has none
 */
public record Speeds(double attention, double products) {
  private static final double SECONDS = 0.5; // for each of the two
  private static final int CPU_TOKENS = 4096;
  private static final int DEVICE_TOKENS = 32768;
  private static final int PRODUCT_ROWS = 2048;

  /**
   * Measures for about a second, on random numbers.
   *
   * @param type of the tensors, or E4M3, which self-attention alone is computed in
   * @param width of the matrix products
   */
  public static Speeds measure(Backend backend, ElementType type, int headDim, int width) {
    return new Speeds(
        attention(backend, type, headDim), products(backend, type.tensorType(), width));
  }

  private static double attention(Backend backend, ElementType type, int headDim) {
    boolean host = backend.kind() == Backend.Kind.CPU;
    int tokens = host ? CPU_TOKENS : DEVICE_TOKENS;
    int heads = host ? 4 : 16;
    Sequence sequence = Sequence.video(1, 1, tokens);
    try (AttentionPlan plan =
            backend.plan(sequence, type, headDim, 128, Collections.nCopies(heads, Pattern.full()));
        Tensor q = random(backend, plan.tensorType(), 1, heads, tokens, headDim);
        Tensor k = random(backend, plan.tensorType(), 1, heads, tokens, headDim);
        Tensor v = random(backend, plan.tensorType(), 1, heads, tokens, headDim);
        Tensor out = backend.allocate(plan.tensorType(), 1, heads, tokens, headDim)) {
      double flop = 4.0 * heads * tokens * tokens * headDim;
      return flop / shortest(backend, () -> plan.run(q, k, v, out));
    }
  }

  private static double products(Backend backend, ElementType type, int width) {
    try (Tensor x = random(backend, type, PRODUCT_ROWS, width);
        Tensor weight = random(backend, type, width, width);
        Tensor y = backend.allocate(type, PRODUCT_ROWS, width)) {
      Operations operations = new Operations(backend);
      double flop = 2.0 * PRODUCT_ROWS * width * width;
      return flop / shortest(backend, () -> operations.linear(x, weight, null, Activation.NONE, y));
    } catch (BackendUnavailableException | UnsupportedException none) {
      return Double.NaN;
    }
  }

  /** Seconds of the shortest call: other load makes calls longer, never shorter. */
  private static double shortest(Backend backend, Runnable call) {
    call.run(); // warms up
    backend.synchronize();
    double shortest = Double.POSITIVE_INFINITY;
    long begin = System.nanoTime();
    do {
      long start = System.nanoTime();
      call.run();
      backend.synchronize(); // on a device the call has only queued the work
      shortest = Math.min(shortest, (System.nanoTime() - start) * 1e-9);
    } while ((System.nanoTime() - begin) * 1e-9 < SECONDS);
    return shortest;
  }

  private static Tensor random(Backend backend, ElementType type, long... shape) {
    Tensor tensor = backend.allocate(type, shape);
    Random random = new Random(1);
    float[] values = new float[Math.toIntExact(tensor.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    return tensor.copyFrom(values);
  }
}
