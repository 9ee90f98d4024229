package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.pattern.Schedule;
import java.util.List;

/**
 * Moves a sample from noise to a video (or its latents) along a schedule, one step for each model
 * output.
 *
 * <p>Steps are called in order. Step 0 resets the state of an earlier run, so one scheduler serves
 * many runs, one after the other. Not thread-safe. Steps allocate nothing once a run has begun.
 */
public interface Scheduler {
  /** The timesteps the model is given, one per step. */
  Schedule schedule();

  /**
   * Replaces the sample before step {@code step} with the one after it.
   *
   * @param step from 0
   * @param modelOutput the model's output for {@code sample} at the step's timestep, after
   *     guidance; may be overwritten
   * @param sample as long as modelOutput
   */
  void step(int step, float[] modelOutput, float[] sample);

  /**
   * Everything its steps depend on besides their inputs. Schedulers with equal text compute the
   * same bits. A random term is included with its seed.
   */
  String fingerprint();

  /**
   * The state that the next step needs from earlier ones, besides the sample: copies, each as long
   * as the sample. Empty for a scheduler without such state.
   */
  default List<float[]> history() {
    return List.of();
  }

  /**
   * Resumes a run of another scheduler of the same kind.
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
