package io.github.sparsevdit.model;

import io.github.sparsevdit.Schedule;

/**
 * Takes a sample from noise to a video (or its latents) along a schedule, one step per model
 * output.
 *
 * <p>Steps are taken in order; step 0 forgets an earlier run, so one scheduler serves many runs,
 * one after the other. Not thread-safe. Steps allocate nothing once a run has begun.
 */
public interface Scheduler {
  /** The timesteps the model is given, one per step. */
  Schedule schedule();

  /**
   * Replaces the sample before step {@code step} with the one after it.
   *
   * @param step from 0
   * @param modelOutput what the model said of {@code sample} at the step's timestep, after
   *     guidance; may be overwritten
   * @param sample as long as modelOutput
   */
  void step(int step, float[] modelOutput, float[] sample);

  /** Throws IllegalArgumentException unless step exists and both arrays are of one length. */
  static void check(Schedule schedule, int step, float[] modelOutput, float[] sample) {
    if (step < 0 || step >= schedule.steps()) {
      throw new IllegalArgumentException(
          "step " + step + " of a schedule of " + schedule.steps() + " steps");
    }
    if (modelOutput.length != sample.length) {
      throw new IllegalArgumentException(
          "the model output has "
              + modelOutput.length
              + " elements and the sample "
              + sample.length);
    }
  }
}
