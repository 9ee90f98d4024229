package io.github.sparsevdit.eval;

import io.github.sparsevdit.pipeline.Video;

/**
 * Structural similarity (Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, 2004): Gaussian
 * window of 11 × 11 with σ = 1.5, population covariance, K₁ = 0.01, K₂ = 0.03, data range 1. The
 * same as scikit-image's {@code structural_similarity} with {@code gaussian_weights=True,
 * sigma=1.5, use_sample_covariance=False, data_range=1}: the mean is over the places whose window
 * is inside the frame.
 */
public final class Ssim {
  /** Side of the window. Frames must be at least this large both ways. */
  public static final int WINDOW = 11;

  private static final double SIGMA = 1.5;
  private static final double C1 = 0.01 * 0.01;
  private static final double C2 = 0.03 * 0.03;
  private static final double[] GAUSS = gauss();

  private Ssim() {}

  /**
   * The mean over frames and channels; 1 where the clips are equal.
   *
   * @throws IllegalArgumentException if the shapes differ or a frame is smaller than the window
   */
  public static double of(Video a, Video b) {
    a.requireSameShape(b);
    if (a.height() < WINDOW || a.width() < WINDOW) {
      throw new IllegalArgumentException(
          "frames of %d x %d; the window needs %d x %d"
              .formatted(a.height(), a.width(), WINDOW, WINDOW));
    }
    double sum = 0;
    for (int f = 0; f < a.frames(); f++) {
      for (int c = 0; c < a.channels(); c++) {
        sum += plane(a, b, f, c);
      }
    }
    return sum / (a.frames() * a.channels());
  }

  private static double plane(Video a, Video b, int frame, int channel) {
    int height = a.height();
    int width = a.width();
    double[] x = new double[height * width];
    double[] y = new double[height * width];
    for (int r = 0; r < height; r++) {
      for (int c = 0; c < width; c++) {
        x[r * width + c] = a.at(frame, r, c, channel);
        y[r * width + c] = b.at(frame, r, c, channel);
      }
    }
    double[] meanX = blur(x, height, width);
    double[] meanY = blur(y, height, width);
    double[] meanXx = blur(product(x, x), height, width);
    double[] meanYy = blur(product(y, y), height, width);
    double[] meanXy = blur(product(x, y), height, width);
    double sum = 0;
    for (int i = 0; i < meanX.length; i++) {
      double mx = meanX[i];
      double my = meanY[i];
      double varianceX = meanXx[i] - mx * mx;
      double varianceY = meanYy[i] - my * my;
      double covariance = meanXy[i] - mx * my;
      sum +=
          ((2 * mx * my + C1) * (2 * covariance + C2))
              / ((mx * mx + my * my + C1) * (varianceX + varianceY + C2));
    }
    return sum / meanX.length;
  }

  private static double[] product(double[] x, double[] y) {
    double[] out = new double[x.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = x[i] * y[i];
    }
    return out;
  }

  /** Gaussian means at the places whose window lies inside: rows first, then columns. */
  private static double[] blur(double[] image, int height, int width) {
    int outWidth = width - WINDOW + 1;
    int outHeight = height - WINDOW + 1;
    double[] rows = new double[height * outWidth];
    for (int r = 0; r < height; r++) {
      for (int c = 0; c < outWidth; c++) {
        double sum = 0;
        for (int k = 0; k < WINDOW; k++) {
          sum += GAUSS[k] * image[r * width + c + k];
        }
        rows[r * outWidth + c] = sum;
      }
    }
    double[] out = new double[outHeight * outWidth];
    for (int r = 0; r < outHeight; r++) {
      for (int c = 0; c < outWidth; c++) {
        double sum = 0;
        for (int k = 0; k < WINDOW; k++) {
          sum += GAUSS[k] * rows[(r + k) * outWidth + c];
        }
        out[r * outWidth + c] = sum;
      }
    }
    return out;
  }

  private static double[] gauss() {
    double[] weights = new double[WINDOW];
    double sum = 0;
    for (int i = 0; i < WINDOW; i++) {
      double x = i - WINDOW / 2;
      weights[i] = Math.exp(-x * x / (2 * SIGMA * SIGMA));
      sum += weights[i];
    }
    for (int i = 0; i < WINDOW; i++) {
      weights[i] /= sum;
    }
    return weights;
  }
}
