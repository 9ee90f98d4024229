package io.github.sparsevdit.jmh;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Pattern;
import io.github.sparsevdit.eval.cases.AccuracyBound;
import io.github.sparsevdit.eval.cases.ReferenceAttention;
import io.github.sparsevdit.eval.cases.Visibility;
import io.github.sparsevdit.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** Compares what contenders computed with attention in float64, on sampled rows of every head. */
final class Parity {
  private Parity() {}

  /**
   * Requires the output, [S, H, D], to be attention of the inputs rounded to type, within the
   * element type's bound.
   *
   * @param rows how many rows of each head are looked at: the first, the last and random ones
   */
  static void requireAttention(
      String what,
      Inputs inputs,
      ElementType type,
      List<Pattern> patterns,
      int rows,
      float[] output) {
    AccuracyBound bound = bound(inputs, type, patterns, rows, output);
    assertTrue(
        bound.holds(),
        () ->
            what
                + ": greatest error "
                + bound.error()
                + " (bound "
                + bound.bound()
                + "), mean error "
                + bound.meanError()
                + " (bound "
                + bound.meanBound()
                + ")");
  }

  /** The errors of that output on sampled rows, and what they may be. */
  static AccuracyBound bound(
      Inputs inputs, ElementType type, List<Pattern> patterns, int rows, float[] output) {
    int d = inputs.headDim;
    int tokens = inputs.sequence.tokens();
    AccuracyBound bound = AccuracyBound.ofOutput(type);
    for (int head = 0; head < inputs.heads; head++) {
      int[] sampled = sampled(tokens, rows, head);
      Visibility visibility = new Visibility(inputs.sequence, patterns.get(head), Patterns.BLOCK);
      ReferenceAttention.Mask mask = (row, key) -> visibility.sees(sampled[row], key, 0);
      float[] q = rows(rounded(inputs.head(inputs.q, head), type), sampled, d);
      float[] k = rounded(inputs.head(inputs.k, head), type);
      float[] v = rounded(inputs.head(inputs.v, head), type);
      float[] computed = rows(inputs.head(output, head), sampled, d);
      double scale = 1 / Math.sqrt(d);
      bound.add(
          IntStream.range(0, computed.length).mapToDouble(i -> computed[i]).toArray(),
          ReferenceAttention.exact(q, k, v, d, scale, mask).out(),
          ReferenceAttention.low(q, k, v, d, (float) scale, type, mask).out());
    }
    return bound;
  }

  static float[] rounded(float[] values, ElementType type) {
    float[] rounded = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      rounded[i] = type.decode(type.encode(values[i]));
    }
    return rounded;
  }

  private static int[] sampled(int tokens, int rows, int seed) {
    Random random = new Random(seed);
    int[] sampled = new int[Math.min(rows, tokens)];
    Arrays.setAll(sampled, i -> random.nextInt(tokens));
    sampled[0] = 0;
    sampled[sampled.length - 1] = tokens - 1;
    return sampled;
  }

  private static float[] rows(float[] values, int[] which, int columns) {
    float[] rows = new float[which.length * columns];
    for (int i = 0; i < which.length; i++) {
      System.arraycopy(values, which[i] * columns, rows, i * columns, columns);
    }
    return rows;
  }
}
