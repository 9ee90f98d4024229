package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.pattern.Schedule;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * UniPC (arXiv 2302.04867) of order 2 in its B(h) = e^h − 1 form, predicting x0 from a
 * flow-matching velocity: the scheduler of Wan. Each step first corrects the sample with the new
 * model output, then predicts the next one; the last steps fall back to lower orders. α = 1 − σ, λ
 * = ln α − ln σ.
 */
public final class UniPc implements Scheduler {
  private static final double SIGMA_BELOW_ONE = 1e-6; // λ is finite at the first step

  private final double[] sigmas; // of each step, and where the last one leads
  private final int order;
  private final Set<Integer> uncorrected; // steps whose result is not corrected by the next
  private final Schedule schedule;

  // The run so far: x0 predicted at this step and the one before, and the sample this step
  // predicted from.
  private float[] prediction = {};
  private float[] previousPrediction = {};
  private float[] lastSample = {};
  private int nextStep;
  private int lastOrder;

  /**
   * @param shift σ' = shift · σ / (1 + (shift − 1) σ)
   * @param order 1 or 2
   */
  public UniPc(int steps, double shift, int order, int trainTimesteps) {
    this(spread(steps, trainTimesteps), shift, order, trainTimesteps, 0, false, Set.of());
  }

  /** σ before the shift: linspace(1, 1 / trainTimesteps, n + 1) without the last. */
  static double[] spread(int steps, int trainTimesteps) {
    if (steps < 1) {
      throw new IllegalArgumentException("steps must be at least 1: " + steps);
    }
    double[] sigmas = new double[steps];
    Arrays.setAll(sigmas, i -> i * ((1.0 / trainTimesteps - 1) / steps) + 1); // as linspace rounds
    return sigmas;
  }

  /**
   * @param unshifted σ of each step before the shift
   * @param terminal what the last σ is stretched to; 0 for none
   * @param endsAtLast whether the run ends at the last σ, and not at 0
   * @param uncorrected steps whose result is not corrected by the next
   */
  UniPc(
      double[] unshifted,
      double shift,
      int order,
      int trainTimesteps,
      double terminal,
      boolean endsAtLast,
      Set<Integer> uncorrected) {
    int steps = unshifted.length;
    if (order < 1 || order > 2) {
      throw new IllegalArgumentException("order must be 1 or 2: " + order);
    }
    FlowMatchEuler.requireShift(shift);
    this.order = order;
    this.uncorrected = Set.copyOf(uncorrected);
    sigmas = new double[steps + 1];
    List<Double> timesteps = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      sigmas[i] = FlowMatchEuler.shifted(unshifted[i], shift);
    }
    FlowMatchEuler.stretch(sigmas, steps, terminal);
    for (int i = 0; i < steps; i++) {
      double sigma = sigmas[i];
      if (Math.abs(sigma - 1) < SIGMA_BELOW_ONE) {
        sigma -= SIGMA_BELOW_ONE;
      }
      timesteps.add(Math.floor(sigma * trainTimesteps));
      sigmas[i] = (float) sigma;
    }
    sigmas[steps] = endsAtLast ? sigmas[steps - 1] : 0;
    schedule = new Schedule(timesteps);
  }

  @Override
  public Schedule schedule() {
    return schedule;
  }

  @Override
  public void step(int step, float[] modelOutput, float[] sample) {
    Scheduler.check(schedule, step, modelOutput, sample);
    if (step == 0) {
      begin(sample.length);
    } else if (step != nextStep || lastSample.length != sample.length) {
      throw new IllegalStateException("step " + step + " after step " + (nextStep - 1));
    }
    nextStep = step + 1;

    float sigma = (float) sigmas[step];
    for (int i = 0; i < sample.length; i++) {
      modelOutput[i] = sample[i] - sigma * modelOutput[i]; // x0
    }
    if (step > 0 && !uncorrected.contains(step - 1)) {
      correct(step, modelOutput, sample);
    }
    float[] oldest = previousPrediction;
    previousPrediction = prediction;
    prediction = oldest;
    System.arraycopy(modelOutput, 0, prediction, 0, sample.length);
    System.arraycopy(sample, 0, lastSample, 0, sample.length);

    lastOrder = order(step);
    predict(step, sample);
  }

  /** Low at the beginning, where little is known, and at the end. */
  private int order(int step) {
    return Math.min(Math.min(order, schedule.steps() - step), step + 1);
  }

  @Override
  public List<float[]> history() {
    return List.of(prediction.clone(), previousPrediction.clone(), lastSample.clone());
  }

  @Override
  public void resume(int step, List<float[]> history, int length) {
    Scheduler.checkHistory(history, 3, length);
    prediction = history.get(0).clone();
    previousPrediction = history.get(1).clone();
    lastSample = history.get(2).clone();
    nextStep = step;
    lastOrder = step == 0 ? 0 : order(step - 1);
  }

  private void begin(int length) {
    if (lastSample.length != length) {
      prediction = new float[length];
      previousPrediction = new float[length];
      lastSample = new float[length];
    }
  }

  /** UniP: from σ of this step to that of the next. */
  private void predict(int step, float[] sample) {
    Coefficients c = new Coefficients(sigmas[step], sigmas[step + 1]);
    float keep = (float) c.keep;
    float towards = (float) c.towards;
    float slope = lastOrder == 1 ? 0 : (float) (0.5 * c.bend / ratio(c, step, step - 1));
    for (int i = 0; i < sample.length; i++) {
      float x = keep * sample[i] - towards * prediction[i];
      sample[i] = lastOrder == 1 ? x : x - slope * (previousPrediction[i] - prediction[i]);
    }
  }

  /** UniC: the step just made, once more, now that the model's word at its end is known. */
  private void correct(int step, float[] x0, float[] sample) {
    Coefficients c = new Coefficients(sigmas[step - 1], sigmas[step]);
    float keep = (float) c.keep;
    float towards = (float) c.towards;
    if (lastOrder == 1) {
      float half = (float) (0.5 * c.bend);
      for (int i = 0; i < sample.length; i++) {
        float x = keep * lastSample[i] - towards * prediction[i];
        sample[i] = x - half * (x0[i] - prediction[i]);
      }
      return;
    }
    // Solve [1 1; r 1] ρ = b for the weights of the older difference and of the new one.
    double r = ratio(c, step - 1, step - 2);
    double older = (c.b1 - c.b2) / (1 - r);
    double newer = c.b1 - older;
    float slopeOlder = (float) (c.bend * older / r);
    float slopeNewer = (float) (c.bend * newer);
    for (int i = 0; i < sample.length; i++) {
      float x = keep * lastSample[i] - towards * prediction[i];
      float change =
          slopeOlder * (previousPrediction[i] - prediction[i])
              + slopeNewer * (x0[i] - prediction[i]);
      sample[i] = x - change;
    }
  }

  /** (λ of an earlier step − λ at the begin) / h. */
  private double ratio(Coefficients c, int from, int earlier) {
    return (lambda(sigmas[earlier]) - lambda(sigmas[from])) / c.h;
  }

  private static double lambda(double sigma) {
    return Math.log(1 - sigma) - Math.log(sigma);
  }

  /** σ of each step, and where the last one leads. */
  double[] sigmas() {
    return sigmas.clone();
  }

  @Override
  public String fingerprint() {
    return "UniPC order %d sigmas %s timesteps %s uncorrected %s"
        .formatted(
            order, Arrays.toString(sigmas), schedule.timesteps(), new TreeSet<>(uncorrected));
  }

  @Override
  public String toString() {
    return fingerprint();
  }

  /** x' = keep · x − towards · x0 − bend · (differences of x0). */
  private static final class Coefficients {
    final double h;
    final double keep;
    final double towards;
    final double bend;
    final double b1;
    final double b2;

    Coefficients(double from, double to) {
      h = lambda(to) - lambda(from);
      double alpha = 1 - to;
      double phi1 = Math.expm1(-h);
      double phi2 = phi1 / -h - 1;
      double phi3 = phi2 / -h - 0.5;
      keep = to / from;
      towards = alpha * phi1;
      bend = alpha * phi1; // B(h) = e^-h − 1
      b1 = phi2 / phi1;
      b2 = 2 * phi3 / phi1;
    }
  }
}
