package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Policy;

/**
 * Scores a table by whole denoising runs, which heads measured one by one cannot show: on its own
 * sparse trajectory. The search knows no denoiser; whoever has one gives it this.
 */
@FunctionalInterface
public interface WholeRun {
  /**
   * PSNR in dB of the result with {@code policy} against the dense result from the same noise;
   * higher is better.
   */
  double psnr(Policy policy);
}
