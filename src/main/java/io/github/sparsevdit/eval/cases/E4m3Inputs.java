package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;

/**
 * What an {@link ElementType#E4M3} plan makes of its inputs before it multiplies, straight from the
 * definition: one head's rows, [tokens, D], each element the e4m3 number nearest to it in units of
 * the scale that 64 tokens share. Nothing of the native code is used.
 */
public final class E4m3Inputs {
  private static final int TOKENS = 64; // that share a scale
  private static final int LEAST_EXPONENT = -60; // of a scale
  private static final double LARGEST = 448;

  private E4m3Inputs() {}

  /**
   * Of a sequence, whose video tokens that order lines up.
   *
   * @param text how many of its text tokens take part; the others stay as they are
   */
  public static float[] rounded(
      float[] rows, int headDim, Sequence sequence, Order order, int text) {
    int videoBegin = sequence.textFirst() ? sequence.text() : 0;
    int textBegin = sequence.textFirst() ? 0 : sequence.videoTokens();
    int[] tokens = order.tokens(sequence);
    float[] rounded = rows.clone();
    for (int i = 0; i < tokens.length; i += TOKENS) {
      int[] some = new int[Math.min(TOKENS, tokens.length - i)];
      for (int j = 0; j < some.length; j++) {
        some[j] = videoBegin + tokens[i + j];
      }
      round(rounded, headDim, some);
    }
    consecutive(rounded, headDim, textBegin, text);
    return rounded;
  }

  /** Of rows that are one segment in the order they lie in, as a cross plan's, the first valid. */
  public static float[] rounded(float[] rows, int headDim, int valid) {
    float[] rounded = rows.clone();
    consecutive(rounded, headDim, 0, valid);
    return rounded;
  }

  private static void consecutive(float[] rows, int headDim, int begin, int count) {
    for (int i = 0; i < count; i += TOKENS) {
      int[] some = new int[Math.min(TOKENS, count - i)];
      for (int j = 0; j < some.length; j++) {
        some[j] = begin + i + j;
      }
      round(rows, headDim, some);
    }
  }

  /** Rounds the rows of tokens that share a scale. */
  private static void round(float[] rows, int headDim, int[] tokens) {
    double largest = 0;
    for (int token : tokens) {
      for (int d = 0; d < headDim; d++) {
        largest = Math.max(largest, Math.abs(rows[token * headDim + d]));
      }
    }
    int exponent = LEAST_EXPONENT;
    while (Math.scalb(LARGEST, exponent) < largest) {
      exponent++;
    }
    for (int token : tokens) {
      for (int d = 0; d < headDim; d++) {
        int at = token * headDim + d;
        int bits = ElementType.E4M3.encode((float) Math.scalb((double) rows[at], -exponent));
        rows[at] = (float) Math.scalb((double) ElementType.E4M3.decode(bits), exponent);
      }
    }
  }
}
