package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.tensor.ElementType;
import java.util.Arrays;

/**
 * Attention by its definition, in Java, one row after the other: in float64, and as the plain dense
 * formula does it in an element type. Nothing of the native code is used.
 *
 * <p>Arrays are row-major: q and out [queries, D], k and v [keys, D].
 */
public final class ReferenceAttention {
  private static final float E4M3_UNITS = 256;

  /** Which keys a query sees. */
  @FunctionalInterface
  public interface Mask {
    boolean sees(int query, int key);
  }

  /** out [queries, D] and the natural-log softmax denominators [queries]. */
  public record Result(double[] out, double[] lse) {}

  private ReferenceAttention() {}

  /** In float64. A row that sees no key gives 0 and −∞. */
  public static Result exact(
      float[] q, float[] k, float[] v, int headDim, double scale, Mask mask) {
    int queries = q.length / headDim;
    int keys = k.length / headDim;
    double[] out = new double[queries * headDim];
    double[] lse = new double[queries];
    double[] score = new double[keys];
    for (int query = 0; query < queries; query++) {
      double max = Double.NEGATIVE_INFINITY;
      for (int key = 0; key < keys; key++) {
        score[key] = Double.NEGATIVE_INFINITY;
        if (mask.sees(query, key)) {
          double sum = 0;
          for (int d = 0; d < headDim; d++) {
            sum += (double) q[query * headDim + d] * k[key * headDim + d];
          }
          score[key] = sum * scale;
          max = Math.max(max, score[key]);
        }
      }
      lse[query] = Double.NEGATIVE_INFINITY;
      if (max == Double.NEGATIVE_INFINITY) {
        continue;
      }
      double denominator = 0;
      for (int key = 0; key < keys; key++) {
        denominator += Math.exp(score[key] - max);
      }
      lse[query] = max + Math.log(denominator);
      for (int key = 0; key < keys; key++) {
        if (score[key] > Double.NEGATIVE_INFINITY) {
          double p = Math.exp(score[key] - max) / denominator;
          for (int d = 0; d < headDim; d++) {
            out[query * headDim + d] += p * v[key * headDim + d];
          }
        }
      }
    }
    return new Result(out, lse);
  }

  /**
   * The plain dense formula in an element type: inputs (already) rounded to it, sums in fp32, the
   * probabilities and the output rounded to it. In E4M3 the probabilities are rounded in units of
   * 2⁻⁸ of the row's greatest, since the type reaches no further down than 2⁻⁹, and the output is
   * BF16.
   */
  public static Result low(
      float[] q, float[] k, float[] v, int headDim, float scale, ElementType type, Mask mask) {
    int queries = q.length / headDim;
    int keys = k.length / headDim;
    double[] out = new double[queries * headDim];
    double[] lse = new double[queries];
    float[] score = new float[keys];
    float[] sums = new float[headDim];
    boolean eightBits = type == ElementType.E4M3;
    for (int query = 0; query < queries; query++) {
      float max = Float.NEGATIVE_INFINITY;
      for (int key = 0; key < keys; key++) {
        score[key] = Float.NEGATIVE_INFINITY;
        if (mask.sees(query, key)) {
          float sum = 0;
          for (int d = 0; d < headDim; d++) {
            sum += q[query * headDim + d] * k[key * headDim + d];
          }
          score[key] = sum * scale;
          max = Math.max(max, score[key]);
        }
      }
      lse[query] = Double.NEGATIVE_INFINITY;
      if (max == Float.NEGATIVE_INFINITY) {
        continue;
      }
      float denominator = 0;
      for (int key = 0; key < keys; key++) {
        score[key] = (float) Math.exp(score[key] - max);
        denominator += score[key];
      }
      lse[query] = max + (float) Math.log(denominator);
      Arrays.fill(sums, 0);
      for (int key = 0; key < keys; key++) {
        float p =
            eightBits
                ? rounded(score[key] * E4M3_UNITS, type) / E4M3_UNITS / denominator
                : rounded(score[key] / denominator, type);
        if (p > 0) { // a key that is not seen may hold NaN
          for (int d = 0; d < headDim; d++) {
            sums[d] += p * v[key * headDim + d];
          }
        }
      }
      for (int d = 0; d < headDim; d++) {
        out[query * headDim + d] = rounded(sums[d], type.tensorType());
      }
    }
    return new Result(out, lse);
  }

  private static float rounded(float value, ElementType type) {
    return type.decode(type.encode(value));
  }
}
