package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.pattern.Schedule;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

/** The stochastic second-order DPM-Solver++ of CogVideoX's official demo. λ = ½ ln(ᾱ / (1 − ᾱ)). */
public final class CogVideoXDpm implements Scheduler {
  private final CogVideoXSchedule levels;
  private final Supplier<RandomGenerator> noise;
  private RandomGenerator random;
  private float[] previous = {}; // x0 of the step before

  /**
   * @param noise gives a run its source of Gaussian numbers; null leaves the random term out
   */
  public CogVideoXDpm(
      int steps,
      int trainTimesteps,
      double betaStart,
      double betaEnd,
      double snrShiftScale,
      Supplier<RandomGenerator> noise) {
    this(new CogVideoXSchedule(steps, trainTimesteps, betaStart, betaEnd, snrShiftScale), noise);
  }

  CogVideoXDpm(CogVideoXSchedule levels, Supplier<RandomGenerator> noise) {
    this.levels = levels;
    this.noise = noise;
  }

  @Override
  public Schedule schedule() {
    return levels.schedule();
  }

  @Override
  public void step(int step, float[] modelOutput, float[] sample) {
    Scheduler.check(schedule(), step, modelOutput, sample);
    if (step == 0) {
      previous = previous.length == sample.length ? previous : new float[sample.length];
      Arrays.fill(previous, 0);
      random = noise == null ? null : Objects.requireNonNull(noise.get(), "noise");
    } else if (previous.length != sample.length) {
      throw new IllegalStateException("step " + step + " of a run that began with another sample");
    }
    double now = levels.alpha(step);
    double next = levels.alphaAfter(step);
    double h = lambda(next) - lambda(now);
    float ofSample = levels.ofSample(step);
    float ofOutput = levels.ofOutput(step);
    float keep = (float) (Math.sqrt((1 - next) / (1 - now)) * Math.exp(-h));
    float towards = (float) (Math.expm1(-2 * h) * Math.sqrt(next));
    float spread = (float) (Math.sqrt(1 - next) * Math.sqrt(1 - Math.exp(-2 * h)));
    boolean first = step == 0 || levels.last(step);
    double half = first ? 0 : 0.5 * h / (lambda(now) - lambda(levels.alpha(step - 1)));
    float newer = (float) (1 + half);
    float older = (float) half;
    for (int i = 0; i < sample.length; i++) {
      float x0 = ofSample * sample[i] + ofOutput * modelOutput[i];
      float x = keep * sample[i] - towards * (newer * x0 - older * previous[i]);
      previous[i] = x0;
      sample[i] = random == null ? x : x + spread * (float) random.nextGaussian();
    }
  }

  @Override
  public List<float[]> history() {
    return List.of(previous.clone());
  }

  /** Draws again what the steps before drew. */
  @Override
  public void resume(int step, List<float[]> history, int length) {
    Scheduler.checkHistory(history, 1, length);
    previous = history.get(0).clone();
    random = noise == null ? null : Objects.requireNonNull(noise.get(), "noise");
    for (long drawn = 0; random != null && drawn < (long) step * length; drawn++) {
      random.nextGaussian();
    }
  }

  private static double lambda(double alpha) {
    return 0.5 * (Math.log(alpha) - Math.log(1 - alpha));
  }

  @Override
  public String fingerprint() {
    return "CogVideoX DPM "
        + levels.fingerprint()
        + (noise == null ? "without noise" : "noise " + noise.get().nextLong());
  }
}
