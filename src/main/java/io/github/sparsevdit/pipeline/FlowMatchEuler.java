package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.pattern.Schedule;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Flow matching by Euler steps (HunyuanVideo): σ runs over linspace(1, 0, n + 1) without the last,
 * or over what is given, shifted to s σ / (1 + (s − 1) σ); a step adds (σ' − σ) · velocity.
 * Computes what diffusers' FlowMatchEulerDiscreteScheduler does with those σ.
 */
public final class FlowMatchEuler implements Scheduler {
  private static final double KARRAS_RHO = 7;

  /** How σ are spread between the first and the last of the shifted ones. */
  enum Spacing {
    /** As they are. */
    SHIFTED,
    /** Evenly in σ to the power of 1/7 (Karras et al., arXiv 2206.00364). */
    KARRAS,
    /** Evenly in ln σ. */
    EXPONENTIAL
  }

  private final float[] sigmas; // of each step, and 0
  private final Schedule schedule;

  /**
   * @param shift above 0
   */
  public FlowMatchEuler(int steps, double shift, int trainTimesteps) {
    this(evenly(steps), shift, trainTimesteps, 0, Spacing.SHIFTED);
  }

  /**
   * @param unshifted σ of each step before the shift
   * @param terminal what the last σ is stretched to; 0 for none
   */
  FlowMatchEuler(
      double[] unshifted, double shift, int trainTimesteps, double terminal, Spacing spacing) {
    requireShift(shift);
    int steps = unshifted.length;
    double[] exact = new double[steps];
    for (int i = 0; i < steps; i++) {
      exact[i] = shifted(unshifted[i], shift);
    }
    stretch(exact, steps, terminal);
    if (spacing != Spacing.SHIFTED) {
      double first = exact[0];
      double last = exact[steps - 1];
      for (int i = 0; i < steps; i++) {
        double part = steps == 1 ? 0 : (double) i / (steps - 1);
        exact[i] =
            spacing == Spacing.KARRAS
                ? karras(first, last, part)
                : Math.exp(Math.log(first) + part * (Math.log(last) - Math.log(first)));
      }
    }
    sigmas = new float[steps + 1];
    List<Double> timesteps = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      sigmas[i] = (float) exact[i];
      timesteps.add((double) (sigmas[i] * trainTimesteps));
    }
    schedule = new Schedule(timesteps);
  }

  /** What HunyuanVideo's pipeline gives: linspace(1, 0, n + 1) without the last. */
  private static double[] evenly(int steps) {
    if (steps < 1) {
      throw new IllegalArgumentException("steps must be at least 1: " + steps);
    }
    double[] sigmas = new double[steps];
    Arrays.setAll(sigmas, i -> i * (-1.0 / steps) + 1); // as linspace rounds
    return rounded(sigmas);
  }

  /** As diffusers takes σ that are given. */
  static double[] rounded(double[] sigmas) {
    return Arrays.stream(sigmas).map(sigma -> (float) sigma).toArray();
  }

  /**
   * What diffusers' scheduler takes where a pipeline gives a number of steps alone: evenly from the
   * largest to the smallest σ of training, which are shifted already and are shifted once more.
   */
  static double[] spread(int steps, double shift, int trainTimesteps) {
    double first = (double) (float) shifted(1, shift) * trainTimesteps;
    double last = (double) (float) shifted((float) (1.0 / trainTimesteps), shift) * trainTimesteps;
    double[] sigmas = new double[steps];
    for (int i = 0; i < steps; i++) {
      double timestep = i == 0 ? first : i * ((last - first) / (steps - 1)) + first;
      sigmas[i] = timestep / trainTimesteps;
    }
    return sigmas;
  }

  private static double karras(double first, double last, double part) {
    double high = Math.pow(first, 1 / KARRAS_RHO);
    double low = Math.pow(last, 1 / KARRAS_RHO);
    return Math.pow(high + part * (low - high), KARRAS_RHO);
  }

  /** Makes the last of the σ terminal, with 1 − σ in proportion; 0 for nothing. */
  static void stretch(double[] sigmas, int steps, double terminal) {
    if (terminal == 0) {
      return;
    }
    double scale = (1 - sigmas[steps - 1]) / (1 - terminal);
    for (int i = 0; i < steps; i++) {
      sigmas[i] = 1 - (1 - sigmas[i]) / scale;
    }
  }

  /** Refuses what makes no schedule. */
  static void requireShift(double shift) {
    if (!(shift > 0 && shift < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("the shift must be a number above 0: " + shift);
    }
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

  /** σ of each step, and where the last one leads. */
  float[] sigmas() {
    return sigmas.clone();
  }

  @Override
  public String fingerprint() {
    return "flow-match Euler sigmas %s timesteps %s"
        .formatted(Arrays.toString(sigmas), schedule.timesteps());
  }
}
