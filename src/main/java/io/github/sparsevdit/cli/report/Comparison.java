package io.github.sparsevdit.cli.report;

import io.github.sparsevdit.eval.Psnr;
import io.github.sparsevdit.eval.Ssim;
import io.github.sparsevdit.pipeline.Generated;
import io.github.sparsevdit.pipeline.Video;

/**
 * How near a sparse run comes to the dense one from the same noise.
 *
 * @param psnr in dB, over pixels in [0, 1]; NaN where latents are no pixels
 * @param ssim structural similarity; NaN where latents are no pixels, or frames are smaller than
 *     its window
 * @param relative norm of the difference of the latents over the norm of the dense ones
 */
public record Comparison(double psnr, double ssim, double relative) {
  public static Comparison of(Generated dense, Generated sparse) {
    double psnr = Double.NaN;
    double ssim = Double.NaN;
    if (dense.video() != null) {
      Video reference = dense.video();
      Video video = sparse.video();
      psnr = Psnr.of(reference, video);
      if (Math.min(video.height(), video.width()) >= Ssim.WINDOW) {
        ssim = Ssim.of(reference, video);
      }
    }
    return new Comparison(psnr, ssim, relative(dense.latents(), sparse.latents()));
  }

  private static double relative(float[] dense, float[] sparse) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < dense.length; i++) {
      difference += Math.pow((double) dense[i] - sparse[i], 2);
      norm += (double) dense[i] * dense[i];
    }
    return Math.sqrt(difference / norm);
  }
}
