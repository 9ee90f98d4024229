package io.github.sparsevdit.model;

import io.github.sparsevdit.Schedule;
import java.util.ArrayList;
import java.util.List;

/**
 * Flow matching by Euler steps (HunyuanVideo): σ runs over linspace(1, 0, n + 1) without the last,
 * shifted to s σ / (1 + (s − 1) σ); a step adds (σ' − σ) · velocity. Computes what diffusers'
 * FlowMatchEulerDiscreteScheduler does with those σ.
 */
public final class FlowMatchEuler implements Scheduler {
  private final float[] sigmas; // of each step, and 0
  private final Schedule schedule;

  public FlowMatchEuler(int steps, double shift, int trainTimesteps) {
    sigmas = new float[steps + 1];
    List<Double> timesteps = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      sigmas[i] = (float) shifted((float) (1 - (double) i / steps), shift);
      timesteps.add((double) (sigmas[i] * trainTimesteps));
    }
    schedule = new Schedule(timesteps);
  }

  /** σ after a shift s: s σ / (1 + (s − 1) σ). */
  static double shifted(double sigma, double shift) {
    return shift * sigma / (1 + (shift - 1) * sigma);
  }

  @Override
  public Schedule schedule() {
    return schedule;
  }

  @Override
  public void step(int step, float[] modelOutput, float[] sample) {
    Scheduler.check(schedule, step, modelOutput, sample);
    float difference = sigmas[step + 1] - sigmas[step];
    for (int i = 0; i < sample.length; i++) {
      sample[i] += difference * modelOutput[i];
    }
  }
}
