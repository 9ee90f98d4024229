package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.pattern.Schedule;

/**
 * DDIM without noise on CogVideoX's schedule; the published models predict v: x0 = √ᾱ x − √(1 − ᾱ)
 * v.
 */
public final class CogVideoXDdim implements Scheduler {
  private final CogVideoXSchedule levels;

  public CogVideoXDdim(
      int steps, int trainTimesteps, double betaStart, double betaEnd, double snrShiftScale) {
    this(new CogVideoXSchedule(steps, trainTimesteps, betaStart, betaEnd, snrShiftScale));
  }

  CogVideoXDdim(CogVideoXSchedule levels) {
    this.levels = levels;
  }

  @Override
  public Schedule schedule() {
    return levels.schedule();
  }

  @Override
  public void step(int step, float[] modelOutput, float[] sample) {
    Scheduler.check(schedule(), step, modelOutput, sample);
    double now = levels.alpha(step);
    double next = levels.alphaAfter(step);
    float ofSample = levels.ofSample(step);
    float ofOutput = levels.ofOutput(step);
    double a = Math.sqrt((1 - next) / (1 - now));
    float keep = (float) a;
    float towards = (float) (Math.sqrt(next) - Math.sqrt(now) * a);
    for (int i = 0; i < sample.length; i++) {
      float x0 = ofSample * sample[i] + ofOutput * modelOutput[i];
      sample[i] = keep * sample[i] + towards * x0;
    }
  }

  @Override
  public String fingerprint() {
    return "CogVideoX DDIM " + levels.fingerprint();
  }
}
