package io.github.sparsevdit.pipeline;

/**
 * Classifier-free guidance: unconditional + scale · (conditional − unconditional).
 *
 * @param scale 1 is the conditional branch alone
 * @param dynamic whether the scale grows with the step, as in CogVideoX's official demo: 1 + scale
 *     · (1 − cos(π ((n − t) / n)⁵)) / 2 for n steps and timestep t
 * @param boundary timesteps below it take scaleBelow: Wan2.2's second network has a scale of its
 *     own
 * @param scaleBelow as scale
 */
public record Guidance(double scale, boolean dynamic, double boundary, double scaleBelow) {
  public Guidance {
    requireFinite(scale);
    requireFinite(scaleBelow);
  }

  /** The same scale at every step. */
  public static Guidance of(double scale) {
    return new Guidance(scale, false, 0, scale);
  }

  /** CogVideoX's growing scale. */
  public static Guidance dynamic(double scale) {
    return new Guidance(scale, true, 0, scale);
  }

  /** Another scale for the timesteps below a boundary. */
  public Guidance below(double boundary, double scale) {
    return new Guidance(this.scale, dynamic, boundary, scale);
  }

  /** Whether some step needs the unconditional branch. */
  public boolean needsNegative() {
    return dynamic || scale != 1 || boundary > 0 && scaleBelow != 1;
  }

  /** The scale at a timestep of a run. */
  public double at(double timestep, int steps) {
    double here = timestep < boundary ? scaleBelow : scale;
    if (!dynamic) {
      return here;
    }
    return 1 + here * (1 - Math.cos(Math.PI * Math.pow((steps - timestep) / steps, 5))) / 2;
  }

  private static void requireFinite(double scale) {
    if (!Double.isFinite(scale)) {
      throw new IllegalArgumentException("the guidance scale must be finite: " + scale);
    }
  }
}
