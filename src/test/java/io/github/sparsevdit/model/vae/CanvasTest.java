package io.github.sparsevdit.model.vae;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Attention in chunks against double arithmetic, and memory that is lent again. */
class CanvasTest {
  @ParameterizedTest
  @CsvSource({
    "1, 3, 4, false, 1000000", // one chunk
    "1, 3, 4, false, 240", // chunks of five pixels, the last one smaller
    "3, 2, 2, true, 1000000",
    "3, 2, 2, true, 240", // chunks that do not end where frames do
    "3, 2, 2, true, 48", // of one pixel
  })
  void attends(int frames, int height, int width, boolean causal, long scoreBytes) {
    int channels = 8;
    int pixels = frames * height * width;
    try (Backend backend = Backend.cpu();
        Canvas canvas = new Canvas(backend, ElementType.FP32)) {
      Random random = new Random(1);
      Clip all = canvas.take(frames, height, width, 3 * channels); // rows with others between
      Clip out = canvas.take(frames, height, width, channels);
      float[] values = new float[pixels * 3 * channels];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      all.rows().copyFrom(values);
      canvas.attend(
          all.channels(0, channels),
          all.channels(channels, 2 * channels),
          all.channels(2 * channels, 3 * channels),
          causal,
          out,
          scoreBytes);
      float[] got = out.rows().toFloats();
      int plane = height * width;
      for (int q = 0; q < pixels; q++) {
        int seen = causal ? (q / plane + 1) * plane : pixels;
        double[] weights = new double[seen];
        double sum = 0;
        for (int k = 0; k < seen; k++) {
          double score = 0;
          for (int c = 0; c < channels; c++) {
            score += (double) values[q * 3 * channels + c] * values[(k * 3 + 1) * channels + c];
          }
          weights[k] = Math.exp(score / Math.sqrt(channels));
          sum += weights[k];
        }
        for (int c = 0; c < channels; c++) {
          double expected = 0;
          for (int k = 0; k < seen; k++) {
            expected += weights[k] / sum * values[(k * 3 + 2) * channels + c];
          }
          assertEquals(expected, got[q * channels + c], 1e-5, "pixel " + q);
        }
      }
    }
  }

  @Test
  void lendsMemoryAgainAndCountsItsPeak() {
    try (Canvas canvas = new Canvas(ElementType.BF16)) {
      Clip first = canvas.take(1, 2, 2, 8);
      canvas.release(first);
      Clip second = canvas.take(1, 4, 1, 8); // as many elements
      assertTrue(first.buffer() == second.buffer());
      canvas.take(1, 1, 1, 8);
      assertEquals((32 + 8) * 2, canvas.peak());
      canvas.release(second);
      canvas.trim();
      canvas.take(1, 1, 1, 16);
      assertEquals((32 + 8) * 2, canvas.peak());
    }
  }
}
