package io.github.sparsevdit.model;

import io.github.sparsevdit.Schedule;
import java.util.ArrayList;
import java.util.List;

/**
 * The noise levels both CogVideoX schedulers share: β from a linear √β, the signal-to-noise ratio
 * shifted, rescaled so that the last training timestep is pure noise, and every (train / steps)-th
 * timestep counted from the end.
 */
final class CogVideoXSchedule {
  private final double[] alphas; // Π (1 − β) of each training timestep
  private final int stride;
  private final Schedule schedule;

  CogVideoXSchedule(
      int steps, int trainTimesteps, double betaStart, double betaEnd, double snrShiftScale) {
    if (steps < 1 || steps > trainTimesteps) {
      throw new IllegalArgumentException("steps must lie in [1, " + trainTimesteps + "]: " + steps);
    }
    alphas = new double[trainTimesteps];
    double product = 1;
    for (int t = 0; t < trainTimesteps; t++) {
      double part = (double) t / (trainTimesteps - 1);
      double root = Math.sqrt(betaStart) + (Math.sqrt(betaEnd) - Math.sqrt(betaStart)) * part;
      product *= 1 - root * root;
      alphas[t] = product / (snrShiftScale + (1 - snrShiftScale) * product);
    }
    double first = Math.sqrt(alphas[0]);
    double last = Math.sqrt(alphas[trainTimesteps - 1]);
    for (int t = 0; t < trainTimesteps; t++) {
      double root = (Math.sqrt(alphas[t]) - last) * first / (first - last);
      alphas[t] = root * root;
    }
    stride = trainTimesteps / steps;
    List<Double> timesteps = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      timesteps.add(Math.rint(trainTimesteps - i * ((double) trainTimesteps / steps)) - 1);
    }
    schedule = new Schedule(timesteps);
  }

  Schedule schedule() {
    return schedule;
  }

  /** Π (1 − β) at a step's timestep. */
  double alpha(int step) {
    return alphas[schedule.timesteps().get(step).intValue()];
  }

  /** Π (1 − β) where a step leads to; 1 at the end. */
  double alphaAfter(int step) {
    int timestep = schedule.timesteps().get(step).intValue() - stride;
    return timestep < 0 ? 1 : alphas[timestep];
  }

  /** Whether a step leads to the end. */
  boolean last(int step) {
    return schedule.timesteps().get(step).intValue() < stride;
  }
}
