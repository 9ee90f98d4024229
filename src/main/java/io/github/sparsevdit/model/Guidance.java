package io.github.sparsevdit.model;

/**
 * Classifier-free guidance: unconditional + scale · (conditional − unconditional).
 *
 * @param scale 1 is the conditional branch alone
 * @param dynamic whether the scale grows with the step, as in CogVideoX's official demo: 1 + scale
 *     · (1 − cos(π ((n − t) / n)⁵)) / 2 for n steps and timestep t
 */
public record Guidance(double scale, boolean dynamic) {
  public Guidance {
    if (!Double.isFinite(scale)) {
      throw new IllegalArgumentException("the guidance scale must be finite: " + scale);
    }
  }

  /** The same scale at every step. */
  public static Guidance of(double scale) {
    return new Guidance(scale, false);
  }

  /** The scale at a timestep of a run. */
  double at(double timestep, int steps) {
    if (!dynamic) {
      return scale;
    }
    return 1 + scale * (1 - Math.cos(Math.PI * Math.pow((steps - timestep) / steps, 5))) / 2;
  }
}
