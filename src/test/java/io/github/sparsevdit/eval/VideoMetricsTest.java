package io.github.sparsevdit.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.sparsevdit.pipeline.Video;
import java.util.Random;
import org.junit.jupiter.api.Test;

class VideoMetricsTest {
  private static final int FRAMES = 2;
  private static final int HEIGHT = 17;
  private static final int WIDTH = 23;
  private static final int CHANNELS = 3;

  /**
   * The expected figures were computed with scikit-image 0.26: {@code
   * structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
   * data_range=1)} per frame and channel, and {@code peak_signal_noise_ratio}.
   */
  @Test
  void agreesWithScikitImage() {
    Video a = clip(1);
    Video unlike = clip(2);
    assertEquals(-0.2056518234057283, Ssim.of(a, unlike), 1e-6);
    assertEquals(10.917831145883987, Psnr.of(a, unlike), 1e-5);
    Video alike = mixed(a, clip(5), 0.4f);
    assertEquals(0.8030162458956073, Ssim.of(a, alike), 1e-6);
    assertEquals(22.619411946957058, Psnr.of(a, alike), 1e-5);
  }

  /**
   * SSIM from its definition: every window on its own, two-dimensional weights, central moments.
   */
  @Test
  void ssimAgreesWithTheDefinition() {
    Random random = new Random(7);
    Video a = random(random);
    Video b = mixed(a, random(random), 0.5f);
    double[][] weight = new double[11][11];
    double total = 0;
    for (int i = 0; i < 11; i++) {
      for (int j = 0; j < 11; j++) {
        weight[i][j] = Math.exp(-(Math.pow(i - 5, 2) + Math.pow(j - 5, 2)) / 4.5);
        total += weight[i][j];
      }
    }
    double sum = 0;
    int windows = 0;
    for (int f = 0; f < FRAMES; f++) {
      for (int c = 0; c < CHANNELS; c++) {
        for (int y = 5; y < HEIGHT - 5; y++) {
          for (int x = 5; x < WIDTH - 5; x++) {
            double[] mean = new double[2];
            for (int i = 0; i < 11; i++) {
              for (int j = 0; j < 11; j++) {
                mean[0] += weight[i][j] / total * a.at(f, y + i - 5, x + j - 5, c);
                mean[1] += weight[i][j] / total * b.at(f, y + i - 5, x + j - 5, c);
              }
            }
            double varianceA = 0;
            double varianceB = 0;
            double covariance = 0;
            for (int i = 0; i < 11; i++) {
              for (int j = 0; j < 11; j++) {
                double da = a.at(f, y + i - 5, x + j - 5, c) - mean[0];
                double db = b.at(f, y + i - 5, x + j - 5, c) - mean[1];
                varianceA += weight[i][j] / total * da * da;
                varianceB += weight[i][j] / total * db * db;
                covariance += weight[i][j] / total * da * db;
              }
            }
            sum +=
                (2 * mean[0] * mean[1] + 1e-4)
                    * (2 * covariance + 9e-4)
                    / (mean[0] * mean[0] + mean[1] * mean[1] + 1e-4)
                    / (varianceA + varianceB + 9e-4);
            windows++;
          }
        }
      }
    }
    assertEquals(sum / windows, Ssim.of(a, b), 1e-9);
  }

  @Test
  void knownValues() {
    Video a = clip(1);
    assertEquals(1, Ssim.of(a, a), 1e-12);
    assertEquals(Double.POSITIVE_INFINITY, Psnr.of(a, a));
    Video zero = new Video(1, 11, 11, 1, new float[121]);
    float[] tenth = new float[121];
    java.util.Arrays.fill(tenth, 0.1f);
    Video grey = new Video(1, 11, 11, 1, tenth);
    assertEquals(20, Psnr.of(zero, grey), 1e-5); // MSE 0.01
    assertEquals(1e-4 / (0.01 + 1e-4), Ssim.of(zero, grey), 1e-7); // flat: the means' term alone
  }

  @Test
  void pixelLatentsAreMappedAndClamped() {
    float[] latents = {-1, 0, 1, 3, -7, 0.5f, 0, -0.5f}; // 2 channels x 2 frames x 1 x 2
    Video video = Video.ofPixelLatents(latents, 2, 2, 1, 2);
    assertEquals(0, video.at(0, 0, 0, 0));
    assertEquals(0.5f, video.at(0, 0, 1, 0));
    assertEquals(1, video.at(1, 0, 0, 0));
    assertEquals(1, video.at(1, 0, 1, 0));
    assertEquals(0, video.at(0, 0, 0, 1));
    assertEquals(0.75f, video.at(0, 0, 1, 1));
    assertEquals(0.25f, video.at(1, 0, 1, 1));
  }

  @Test
  void refusesWhatDoesNotFit() {
    Video a = clip(1);
    Video small = new Video(1, 10, 11, 1, new float[110]);
    assertThrows(IllegalArgumentException.class, () -> Psnr.of(a, small));
    assertThrows(IllegalArgumentException.class, () -> Ssim.of(small, small));
    assertThrows(IllegalArgumentException.class, () -> new Video(1, 2, 2, 1, new float[3]));
    assertThrows(IllegalArgumentException.class, () -> new Video(0, 2, 2, 1, new float[0]));
  }

  private static Video clip(int shift) {
    float[] values = new float[FRAMES * HEIGHT * WIDTH * CHANNELS];
    int n = 0;
    for (int f = 0; f < FRAMES; f++) {
      for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
          for (int c = 0; c < CHANNELS; c++, n++) {
            double wave = 0.25 * Math.sin(0.3 * y + 0.2 * x * shift + f + c);
            double noise = (((long) n * n + 7L * n * shift) % 251) / 250.0 - 0.5;
            values[n] = (float) (0.5 + wave + 0.2 * noise);
          }
        }
      }
    }
    return new Video(FRAMES, HEIGHT, WIDTH, CHANNELS, values);
  }

  private static Video random(Random random) {
    float[] values = new float[FRAMES * HEIGHT * WIDTH * CHANNELS];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat();
    }
    return new Video(FRAMES, HEIGHT, WIDTH, CHANNELS, values);
  }

  /** {@code a + amount (b − 1/2)}, clamped. */
  private static Video mixed(Video a, Video b, float amount) {
    float[] values = a.values().clone();
    for (int i = 0; i < values.length; i++) {
      values[i] = Math.clamp(values[i] + amount * (b.values()[i] - 0.5f), 0f, 1f);
    }
    return new Video(FRAMES, HEIGHT, WIDTH, CHANNELS, values);
  }
}
