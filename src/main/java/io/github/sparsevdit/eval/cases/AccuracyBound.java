package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.tensor.ElementType;

/**
 * How far a result may lie from the float64 one: {@code max|out − exact| ≤ 2·max|low − exact| +
 * floor}, and the same for the mean, where low is what the plain dense formula gives in the element
 * type and the floor is 1e-6 (FP32), 2⁻⁹·max|exact| (BF16, and E4M3, whose outputs are BF16) or
 * 2⁻¹²·max|exact| (FP16). In E4M3 both are of the inputs as {@link E4m3Inputs} rounds them.
 * Accumulates over the heads and batch rows of a call.
 */
public final class AccuracyBound {
  /** No element type's own rounding moves the plain formula this far, of the greatest result. */
  private static final double PLAUSIBLE = 0.05;

  private final ElementType type;
  private final boolean lse;
  private long count;
  private double maxError;
  private double sumError;
  private double maxLow;
  private double sumLow;
  private double maxExact;
  private boolean wrong; // an infinity or NaN where the reference has none, or the other way round

  private AccuracyBound(ElementType type, boolean lse) {
    this.type = type;
    this.lse = lse;
  }

  /** For outputs of that type. */
  public static AccuracyBound ofOutput(ElementType type) {
    return new AccuracyBound(type, false);
  }

  /**
   * For LSE of inputs of that type: an absolute error there is a relative one of the denominator,
   * so the floor is the element type's own (2⁻⁹, 2⁻¹²), or fp32's on the greatest value.
   */
  public static AccuracyBound ofLse(ElementType type) {
    return new AccuracyBound(type, true);
  }

  /** Adds results: what was computed, the exact ones, and the plain formula's. */
  public void add(double[] computed, double[] exact, double[] low) {
    for (int i = 0; i < exact.length; i++) {
      if (!Double.isFinite(exact[i])) {
        wrong |= computed[i] != exact[i];
        continue;
      }
      double error = Math.abs(computed[i] - exact[i]);
      double lowError = Math.abs(low[i] - exact[i]);
      wrong |= !Double.isFinite(error);
      count++;
      maxError = Math.max(maxError, error);
      sumError += error;
      maxLow = Math.max(maxLow, lowError);
      sumLow += lowError;
      maxExact = Math.max(maxExact, Math.abs(exact[i]));
    }
  }

  /**
   * The greatest error; NaN if something finite was expected where there is none, or the reverse.
   */
  public double error() {
    return wrong ? Double.NaN : maxError;
  }

  /** What error() may be at most. */
  public double bound() {
    return 2 * maxLow + floor();
  }

  /** The mean error. */
  public double meanError() {
    return wrong ? Double.NaN : sumError / Math.max(count, 1);
  }

  /** What meanError() may be at most. */
  public double meanBound() {
    return 2 * sumLow / Math.max(count, 1) + floor();
  }

  /**
   * Whether the plain formula comes anywhere near the exact results, as it does unless these belong
   * to other inputs: the bound means nothing then.
   */
  public boolean meaningful() {
    return maxLow <= PLAUSIBLE * maxExact;
  }

  /** Whether both hold. */
  public boolean holds() {
    return error() <= bound() && meanError() <= meanBound();
  }

  private double floor() {
    return switch (type) {
      case FP32 -> lse ? 1e-6 * Math.max(1, maxExact) : 1e-6;
      case BF16, E4M3 -> lse ? 0x1p-9 : maxExact * 0x1p-9;
      case FP16 -> lse ? 0x1p-12 : maxExact * 0x1p-12;
    };
  }
}
