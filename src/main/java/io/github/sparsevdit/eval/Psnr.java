package io.github.sparsevdit.eval;

import io.github.sparsevdit.pipeline.Video;

/** Peak signal-to-noise ratio of two clips, peak 1. */
public final class Psnr {
  private Psnr() {}

  /**
   * 10 log₁₀(1 / MSE) in dB, the mean squared error taken over the whole clip; +∞ where the clips
   * are equal.
   *
   * @throws IllegalArgumentException if the shapes differ
   */
  public static double of(Video a, Video b) {
    a.requireSameShape(b);
    float[] x = a.values();
    float[] y = b.values();
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      double difference = (double) x[i] - y[i];
      sum += difference * difference;
    }
    return -10 * Math.log10(sum / x.length);
  }
}
