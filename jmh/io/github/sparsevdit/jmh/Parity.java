package io.github.sparsevdit.jmh;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.eval.cases.AccuracyBound;
import io.github.sparsevdit.eval.cases.E4m3Inputs;
import io.github.sparsevdit.eval.cases.ReferenceAttention;
import io.github.sparsevdit.eval.cases.Visibility;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** Compares what contenders computed with attention in float64, on sampled rows of every head. */
final class Parity {
  private Parity() {}

  /**
   * Requires the output, [S, H, D], to be attention of the inputs rounded to type (as the CPU does
   * E4M3), within the element type's bound.
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
      Order order = patterns.get(head).order();
      float[] q = rows(multiplied(inputs, inputs.q, head, order, type), sampled, d);
      float[] k = multiplied(inputs, inputs.k, head, order, type);
      float[] v = multiplied(inputs, inputs.v, head, order, type);
      float[] computed = rows(inputs.head(output, head), sampled, d);
      double scale = 1 / Math.sqrt(d);
      bound.add(
          IntStream.range(0, computed.length).mapToDouble(i -> computed[i]).toArray(),
          ReferenceAttention.exact(q, k, v, d, scale, mask).out(),
          ReferenceAttention.low(q, k, v, d, (float) scale, type.tensorType(), mask).out());
    }
    return bound;
  }

  /** A head's rows as a plan of that type multiplies them. */
  private static float[] multiplied(
      Inputs inputs, float[] values, int head, Order order, ElementType type) {
    float[] rows = rounded(inputs.head(values, head), type.tensorType());
    return type == ElementType.E4M3
        ? E4m3Inputs.rounded(rows, inputs.headDim, inputs.sequence, order, 0)
        : rows;
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
