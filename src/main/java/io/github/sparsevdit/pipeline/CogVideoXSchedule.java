package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.pattern.Schedule;
import java.util.ArrayList;
import java.util.List;

/**
 * The noise levels both CogVideoX schedulers share: Π (1 − β) of each training timestep, its
 * signal-to-noise ratio shifted and, where asked for, rescaled so that the last training timestep
 * is pure noise; and which timesteps a run takes.
 */
final class CogVideoXSchedule {
  private final double[] alphas; // Π (1 − β) of each training timestep
  private final double end; // where the last step leads
  private final int stride;
  private final String prediction;
  private final Schedule schedule;

  /** As the published models have it. */
  CogVideoXSchedule(
      int steps, int trainTimesteps, double betaStart, double betaEnd, double snrShiftScale) {
    this(
        steps,
        trainTimesteps,
        false,
        betaStart,
        betaEnd,
        snrShiftScale,
        true,
        true,
        "trailing",
        0,
        "v_prediction");
  }

  /**
   * @param linear whether β is linear, and not √β
   * @param zeroSnr whether the last training timestep is made pure noise
   * @param endsAtOne whether the last step leads to 1, and not to the first training timestep's
   * @param spacing leading, linspace or trailing, as diffusers understands them
   * @param offset of the timesteps, where they are leading
   * @param prediction what a model says: epsilon, sample or v_prediction
   */
  CogVideoXSchedule(
      int steps,
      int trainTimesteps,
      boolean linear,
      double betaStart,
      double betaEnd,
      double snrShiftScale,
      boolean zeroSnr,
      boolean endsAtOne,
      String spacing,
      int offset,
      String prediction) {
    if (steps < 1 || steps > trainTimesteps) {
      throw new IllegalArgumentException("steps must lie in [1, " + trainTimesteps + "]: " + steps);
    }
    this.prediction = prediction;
    alphas = new double[trainTimesteps];
    double product = 1;
    for (int t = 0; t < trainTimesteps; t++) {
      double part = (double) t / (trainTimesteps - 1);
      double root = Math.sqrt(betaStart) + (Math.sqrt(betaEnd) - Math.sqrt(betaStart)) * part;
      product *= 1 - (linear ? betaStart + (betaEnd - betaStart) * part : root * root);
      alphas[t] = product / (snrShiftScale + (1 - snrShiftScale) * product);
    }
    if (zeroSnr) {
      double first = Math.sqrt(alphas[0]);
      double last = Math.sqrt(alphas[trainTimesteps - 1]);
      for (int t = 0; t < trainTimesteps; t++) {
        double root = (Math.sqrt(alphas[t]) - last) * first / (first - last);
        alphas[t] = root * root;
      }
    }
    end = endsAtOne ? 1 : alphas[0];
    stride = trainTimesteps / steps;
    List<Double> timesteps = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      double timestep =
          switch (spacing) {
            case "leading" -> (double) (steps - 1 - i) * stride + offset;
            case "linspace" ->
                steps == 1
                    ? 0
                    : Math.rint((double) (trainTimesteps - 1) * (steps - 1 - i) / (steps - 1));
            default -> Math.rint(trainTimesteps - i * ((double) trainTimesteps / steps)) - 1;
          };
      timesteps.add(timestep);
    }
    schedule = new Schedule(timesteps);
  }

  Schedule schedule() {
    return schedule;
  }

  String prediction() {
    return prediction;
  }

  /** Π (1 − β) at a step's timestep. */
  double alpha(int step) {
    return alphas[schedule.timesteps().get(step).intValue()];
  }

  /** Π (1 − β) where a step leads to. */
  double alphaAfter(int step) {
    int timestep = schedule.timesteps().get(step).intValue() - stride;
    return timestep < 0 ? end : alphas[timestep];
  }

  /** Whether a step leads to the end. */
  boolean last(int step) {
    return schedule.timesteps().get(step).intValue() < stride;
  }

  /** x0 is ofSample(step) · sample + ofOutput(step) · what the model said. */
  float ofSample(int step) {
    double alpha = alpha(step);
    return (float)
        switch (prediction) {
          case "epsilon" -> 1 / Math.sqrt(alpha);
          case "sample" -> 0;
          default -> Math.sqrt(alpha);
        };
  }

  /** See {@link #ofSample}. */
  float ofOutput(int step) {
    double alpha = alpha(step);
    return (float)
        switch (prediction) {
          case "epsilon" -> -Math.sqrt(1 - alpha) / Math.sqrt(alpha);
          case "sample" -> 1;
          default -> -Math.sqrt(1 - alpha);
        };
  }

  /** All of it that a step depends on. */
  String fingerprint() {
    StringBuilder levels = new StringBuilder();
    for (int step = 0; step < schedule.steps(); step++) {
      levels.append(alpha(step)).append(" to ").append(alphaAfter(step)).append(' ');
    }
    return "%s timesteps %s levels %s".formatted(prediction, schedule.timesteps(), levels);
  }
}
