package io.github.sparsevdit.model.parts;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.parts.ConvLayout.Extent;
import io.github.sparsevdit.model.parts.ConvLayout.Frames;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Convolutions, group norms and spreading on clips against double arithmetic. */
class ClipOperationsTest {
  private static Backend backend;
  private static ClipOperations ops;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
    ops = new ClipOperations(backend);
  }

  @AfterAll
  static void close() {
    ops.close();
    backend.close();
  }

  private static final ConvLayout[] LAYOUTS = {
    ConvLayout.causal(3, 3, 3),
    ConvLayout.causal(3, 3, 3).replicating(true, true),
    ConvLayout.causal(1, 3, 3).upsampling(Frames.ONCE),
    ConvLayout.causal(3, 3, 3).replicating(true, true).upsampling(Frames.TWICE_BUT_FIRST),
    ConvLayout.causal(1, 3, 3).upsampling(Frames.TWICE),
    ConvLayout.causal(1, 3, 3).padded(0, 1, 0, 1).strided(1, 2, 2),
    ConvLayout.causal(3, 3, 3).replicating(true, true).strided(2, 2, 2),
    ConvLayout.causal(3, 1, 1),
    ConvLayout.causal(1, 1, 1),
    ConvLayout.causal(2, 2, 2).padded(0, 0, 0, 0).strided(2, 2, 2),
    ConvLayout.causal(3, 3, 3).replicating(false, true),
  };

  @ParameterizedTest
  @CsvSource({
    "0, 3, 5, 7, 3, 6, FP32, FP32, 0", // layout, frames, height, width, in, out, types, kept
    "0, 1, 9, 6, 16, 24, FP32, FP32, 2",
    "0, 2, 8, 300, 24, 20, FP32, FP32, 1", // parts narrower than the picture
    "0, 1, 61, 37, 96, 32, FP32, FP32, 2", // the last parts are smaller
    "0, 2, 6, 5, 16, 8, BF16, BF16, 2",
    "0, 1, 9, 6, 7, 5, BF16, FP32, 1",
    "1, 4, 5, 6, 8, 8, FP32, FP32, 0",
    "1, 1, 3, 3, 5, 7, BF16, FP32, 0",
    "2, 2, 5, 7, 8, 4, FP32, FP32, 0",
    "2, 1, 5, 7, 8, 4, BF16, BF16, 0",
    "3, 3, 4, 5, 8, 6, FP32, FP32, 0",
    "3, 1, 4, 5, 8, 6, FP32, FP32, 0",
    "4, 2, 3, 4, 6, 6, FP32, FP32, 0",
    "5, 2, 9, 8, 6, 7, FP32, FP32, 0",
    "6, 5, 8, 6, 8, 8, FP32, FP32, 0",
    "6, 2, 7, 5, 8, 8, FP32, FP32, 0",
    "7, 2, 4, 5, 16, 32, FP32, FP32, 2",
    "7, 1, 4, 5, 16, 32, BF16, BF16, 2",
    "8, 3, 4, 5, 16, 32, FP32, FP32, 0",
    "9, 3, 4, 6, 4, 4, FP32, FP32, 1",
    "10, 3, 4, 6, 4, 4, FP32, FP32, 0",
    "10, 2, 4, 6, 4, 4, FP32, FP32, 2",
  })
  void convolves(
      int layout,
      int frames,
      int height,
      int width,
      int in,
      int out,
      ElementType type,
      ElementType yType,
      int kept) {
    convolves(backend, ops, LAYOUTS[layout], frames, height, width, in, out, type, yType, kept);
  }

  static void convolves(
      Backend backend,
      ClipOperations ops,
      ConvLayout layout,
      int frames,
      int height,
      int width,
      int in,
      int out,
      ElementType type,
      ElementType yType,
      int kept) {
    Random random = new Random(frames * 131L + width);
    Extent kernel = layout.kernel();
    int row = kernel.volume() * in;
    Extent size =
        layout.repeatFrames() == Frames.ONCE
            ? layout.after(layout.padFrames()).of(frames, height, width)
            : layout.of(frames, height, width);
    int pixels = height * width;
    try (Tensor wide = backend.allocate(type, (long) frames * pixels, in);
        Tensor earlier = backend.allocate(type, pixels, in);
        Tensor before = backend.allocate(type, pixels, in);
        Tensor weight = backend.allocate(type, out, row);
        Tensor bias = backend.allocate(yType, out);
        Tensor y =
            backend.allocate(yType, (long) size.frames() * size.height() * size.width(), out)) {
      for (Tensor each : new Tensor[] {wide, earlier, before, weight, bias}) {
        float[] values = new float[(int) each.elements()];
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) random.nextGaussian();
        }
        each.copyFrom(values);
      }
      ops.conv(
          wide,
          frames,
          height,
          width,
          kept == 2 ? earlier : null,
          kept >= 1 ? before : null,
          new Linear(weight, bias, weight),
          layout,
          y);
      float[][] keptFrames =
          switch (kept) {
            case 0 -> new float[][] {};
            case 1 -> new float[][] {before.toFloats()};
            default -> new float[][] {earlier.toFloats(), before.toFloats()};
          };
      float[] x = wide.toFloats();
      float[] w = weight.toFloats();
      float[] b = bias.toFloats();
      float[] got = y.toFloats();
      int at = 0;
      for (int t = 0; t < size.frames(); t++) {
        for (int h = 0; h < size.height(); h++) {
          for (int c = 0; c < size.width(); c++) {
            for (int o = 0; o < out; o++, at++) {
              double sum = b[o];
              double magnitude = Math.abs(sum);
              int tap = o * row;
              for (int kh = 0; kh < kernel.height(); kh++) {
                for (int kw = 0; kw < kernel.width(); kw++) {
                  for (int kt = 0; kt < kernel.frames(); kt++, tap += in) {
                    int seenH = h * layout.stride().height() + kh - layout.padTop();
                    int seenW = c * layout.stride().width() + kw - layout.padLeft();
                    int seenT = t * layout.stride().frames() + kt - layout.padFrames();
                    int limitH = height * layout.repeat();
                    int limitW = width * layout.repeat();
                    if (layout.replicate()) {
                      seenH = Math.clamp(seenH, 0, limitH - 1);
                      seenW = Math.clamp(seenW, 0, limitW - 1);
                    }
                    if (layout.replicateFrames()) {
                      seenT = Math.max(seenT, -kept);
                    }
                    if (seenH < 0
                        || seenW < 0
                        || seenH >= limitH
                        || seenW >= limitW
                        || seenT < -kept) {
                      continue;
                    }
                    int frame =
                        switch (layout.repeatFrames()) {
                          case ONCE -> seenT;
                          case TWICE -> seenT / 2;
                          case TWICE_BUT_FIRST -> (seenT + 1) / 2;
                        };
                    float[] from = frame < 0 ? keptFrames[kept + frame] : x;
                    int pixel =
                        (Math.max(frame, 0) * height + seenH / layout.repeat()) * width
                            + seenW / layout.repeat();
                    for (int i = 0; i < in; i++) {
                      double product = (double) from[pixel * in + i] * w[tap + i];
                      sum += product;
                      magnitude += Math.abs(product);
                    }
                  }
                }
              }
              // Any order of fp32 additions, then the rounding of the result.
              double bound =
                  (row + 2) * 0x1p-24 * magnitude
                      + 1e-6
                      + (yType == ElementType.BF16 ? 0x1p-8 * Math.abs(sum) : 0);
              assertEquals(sum, got[at], bound, "frame " + t + " row " + h + " column " + c);
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "2, 5, 7, 12, 4, FP32, FP32, false, 0, 0, 0",
    "1, 4, 4, 8, 8, FP32, FP32, true, 0, 0, 0",
    "3, 16, 16, 32, 4, FP32, FP32, true, 0, 0, 0",
    "3, 8, 8, 16, 2, BF16, BF16, true, 0, 0, 0",
    "2, 8, 8, 16, 4, FP32, FP32, true, 2, 2, 4",
    "5, 8, 4, 16, 4, FP32, FP32, true, 3, 4, 1", // the first frame on its own
    "1, 4, 4, 8, 4, BF16, FP32, false, 1, 4, 2",
  })
  void groupNorms(
      int frames,
      int height,
      int width,
      int channels,
      int groups,
      ElementType type,
      ElementType yType,
      boolean silu,
      int mapFrames,
      int mapHeight,
      int mapWidth) {
    groupNorms(
        backend, ops, frames, height, width, channels, groups, type, yType, silu, mapFrames,
        mapHeight, mapWidth);
  }

  static void groupNorms(
      Backend backend,
      ClipOperations ops,
      int frames,
      int height,
      int width,
      int channels,
      int groups,
      ElementType type,
      ElementType yType,
      boolean silu,
      int mapFrames,
      int mapHeight,
      int mapWidth) {
    Random random = new Random(frames * 7L + channels);
    long rows = (long) frames * height * width;
    long mapRows = Math.max(1, mapFrames * mapHeight * mapWidth);
    try (Tensor x = backend.allocate(type, rows, channels);
        Tensor y = backend.allocate(yType, rows, channels);
        Tensor weight = backend.allocate(ElementType.FP32, channels);
        Tensor bias = backend.allocate(ElementType.BF16, channels);
        Tensor scale = backend.allocate(type, mapRows, channels);
        Tensor shift = backend.allocate(type, mapRows, channels)) {
      for (Tensor each : new Tensor[] {x, weight, bias, scale, shift}) {
        float[] values = new float[(int) each.elements()];
        for (int i = 0; i < values.length; i++) { // a mean far from zero
          values[i] = (float) (random.nextGaussian() + (each == x ? 20 : 0.5));
        }
        each.copyFrom(values);
      }
      boolean mapped = mapFrames > 0;
      ops.groupNorm(
          x,
          frames,
          height,
          width,
          groups,
          weight,
          bias,
          1e-6f,
          mapped ? new ClipOperations.Maps(scale, shift, mapFrames, mapHeight, mapWidth) : null,
          silu,
          y);
      float[] xs = x.toFloats();
      float[] ws = weight.toFloats();
      float[] bs = bias.toFloats();
      float[] scales = scale.toFloats();
      float[] shifts = shift.toFloats();
      float[] got = y.toFloats();
      int group = channels / groups;
      for (int g = 0; g < groups; g++) {
        double mean = 0;
        double variance = 0;
        double count = (double) rows * group;
        for (int r = 0; r < rows; r++) {
          for (int c = g * group; c < (g + 1) * group; c++) {
            mean += xs[r * channels + c] / count;
          }
        }
        for (int r = 0; r < rows; r++) {
          for (int c = g * group; c < (g + 1) * group; c++) {
            variance += Math.pow(xs[r * channels + c] - mean, 2) / count;
          }
        }
        for (int r = 0; r < rows; r++) {
          int t = r / (height * width);
          int mapFrame =
              !mapped
                  ? 0
                  : frames > 1 && frames % 2 == 1
                      ? (t == 0 ? 0 : 1 + (t - 1) * (mapFrames - 1) / (frames - 1))
                      : t * mapFrames / frames;
          int pixel =
              !mapped
                  ? 0
                  : (mapFrame * mapHeight + r / width % height * mapHeight / height) * mapWidth
                      + r % width * mapWidth / width;
          for (int c = g * group; c < (g + 1) * group; c++) {
            double v = (xs[r * channels + c] - mean) / Math.sqrt(variance + 1e-6) * ws[c] + bs[c];
            if (mapped) {
              v = v * scales[pixel * channels + c] + shifts[pixel * channels + c];
            }
            v = silu ? v / (1 + Math.exp(-v)) : v;
            double bound = 4e-5 + (yType == ElementType.BF16 ? 0x1p-8 * Math.abs(v) : 0);
            assertEquals(v, got[r * channels + c], bound, "row " + r + " channel " + c);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "2, 3, 4, 8, 8, 2, 2, 0, FP32",
    "1, 3, 4, 8, 8, 2, 2, 1, FP32",
    "2, 2, 3, 16, 8, 1, 2, 0, FP32", // channels by phase
    "1, 2, 3, 16, 8, 2, 2, 1, BF16",
    "2, 2, 3, 8, 2, 2, 2, 0, FP32",
  })
  void spreads(
      int frames,
      int height,
      int width,
      int in,
      int out,
      int factorFrames,
      int factor,
      int first,
      ElementType type) {
    spreads(backend, ops, frames, height, width, in, out, factorFrames, factor, first, type);
  }

  static void spreads(
      Backend backend,
      ClipOperations ops,
      int frames,
      int height,
      int width,
      int in,
      int out,
      int factorFrames,
      int factor,
      int first,
      ElementType type) {
    int all = frames * factorFrames - first;
    int tall = height * factor;
    int wide = width * factor;
    try (Tensor x = backend.allocate(type, (long) frames * height * width, in);
        Tensor y = backend.allocate(type, (long) all * tall * wide, out)) {
      float[] values = new float[(int) x.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = i % 200; // exact in BF16
      }
      x.copyFrom(values);
      float[] ones = new float[(int) y.elements()];
      java.util.Arrays.fill(ones, 1);
      y.copyFrom(ones);
      ops.spread(x, frames, height, width, factorFrames, factor, first, y);
      float[] got = y.toFloats();
      int parts = factorFrames * factor * factor;
      int repeats = out * parts / in;
      for (int t = 0; t < all; t++) {
        for (int h = 0; h < tall; h++) {
          for (int w = 0; w < wide; w++) {
            for (int o = 0; o < out; o++) {
              // As diffusers has it: channels repeated, then seen as [out, parts].
              int from = t + first;
              int part = (from % factorFrames * factor + h % factor) * factor + w % factor;
              int channel = (o * parts + part) / repeats;
              int pixel = (from / factorFrames * height + h / factor) * width + w / factor;
              float expected = 1 + values[pixel * in + channel];
              assertEquals(expected, got[((t * tall + h) * wide + w) * out + o]);
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4})
  void refusals(int which) {
    try (Tensor x = backend.allocate(ElementType.FP32, 2 * 4 * 5, 8);
        Tensor frame = backend.allocate(ElementType.FP32, 4 * 5, 8);
        Tensor weight = backend.allocate(ElementType.FP32, 6, 27 * 8);
        Tensor bias = backend.allocate(ElementType.FP32, 6);
        Tensor y = backend.allocate(ElementType.FP32, 2 * 4 * 5, 6)) {
      Linear layers = new Linear(weight, bias, weight);
      ConvLayout layout = ConvLayout.causal(3, 3, 3);
      Exception refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> {
                switch (which) {
                  case 0 -> ops.conv(x, 3, 4, 5, null, null, layers, layout, y);
                  case 1 -> ops.conv(x, 2, 4, 5, frame, null, layers, layout, y);
                  case 2 ->
                      ops.conv(x, 2, 4, 5, null, frame, layers, layout.upsampling(Frames.TWICE), y);
                  case 3 -> ops.conv(x, 2, 4, 5, null, null, layers, layout.padded(0, 0, 0, 0), y);
                  default -> ops.groupNorm(x, 2, 4, 5, 3, null, null, 1e-6f, null, false, x);
                }
              });
      String[] said = {
        "x has 40 rows; expected 3 frames x 4 rows x 5 columns",
        "earlier is given and before",
        "repeat_frames is 1; expected ONCE",
        "y has 40 rows; expected 2 frames x 2 rows x 3 columns",
        "groups is 3, which does not divide the 8 channels"
      };
      assertTrue(refused.getMessage().contains(said[which]), refused.getMessage());
    }
  }

  @Test
  void siluAfterARootMeanSquareNorm() {
    try (Tensor x = backend.allocate(ElementType.FP32, 3, 5);
        Tensor weight = backend.allocate(ElementType.FP32, 5)) {
      float[] values = {1, 2, 3, 4, 5, 0, 0, 0, 0, 0, -1, 2, -3, 1, 1};
      float[] weights = {1, 0.5f, -1, 2, 3};
      ops.rmsNormSilu(x.copyFrom(values), weight.copyFrom(weights), 1e-24f, x);
      float[] got = x.toFloats();
      for (int i = 0; i < values.length; i++) {
        double squares = 0;
        for (int k = i / 5 * 5; k < i / 5 * 5 + 5; k++) {
          squares += values[k] * values[k];
        }
        double v = squares == 0 ? 0 : values[i] / Math.sqrt(squares / 5) * weights[i % 5];
        assertEquals(v / (1 + Math.exp(-v)), got[i], 1e-6);
      }
      ops.rmsNorm(x.copyFrom(values), weight, 0, 1e-24f, x); // and none in the next one
      assertEquals(1 / Math.sqrt(11), x.toFloats()[0], 1e-6);
    }
  }
}
