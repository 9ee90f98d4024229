package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.pattern.Schedule;
import java.util.List;

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

  /**
   * All that its steps depend on besides their inputs: schedulers that agree in it take a sample
   * the same way, bit for bit. A random term is in it with the number it begins with.
   */
  String fingerprint();

  /**
   * What the next step takes over from those before it, besides the sample: copies, each as long as
   * the sample. Empty for a scheduler whose steps stand alone.
   */
  default List<float[]> history() {
    return List.of();
  }

  /**
   * Goes on with a run that another scheduler of the same kind began.
   *
   * @param step the next one
   * @param history what the other's {@link #history} was before that step
   * @param length of the sample
   * @throws IllegalArgumentException if the history is none of such a scheduler
   */
  default void resume(int step, List<float[]> history, int length) {
    checkHistory(history, 0, length);
  }

  /** Throws IllegalArgumentException unless there are so many parts, each of that length. */
  static void checkHistory(List<float[]> history, int parts, int length) {
    boolean fits = history.size() == parts;
    for (float[] part : history) {
      fits &= part.length == length;
    }
    if (!fits) {
      throw new IllegalArgumentException(
          "a history of lengths %s; expected %d times %d"
              .formatted(history.stream().map(part -> part.length).toList(), parts, length));
    }
  }

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
