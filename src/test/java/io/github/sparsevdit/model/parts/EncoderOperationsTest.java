package io.github.sparsevdit.model.parts;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.CpuOptions.Tier;
import io.github.sparsevdit.TestBackends;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What encoders need besides a denoiser's operations, against double arithmetic. */
class EncoderOperationsTest {
  static List<Tier> tiers() {
    return TestBackends.tiers();
  }

  @ParameterizedTest
  @MethodSource("tiers")
  void onEveryTier(Tier tier) {
    try (Backend backend = Backend.cpu(new CpuOptions(2, tier))) {
      new OperationChecks(backend).all();
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    try (Backend backend = Backend.cpu();
        Operations ops = new Operations(backend);
        Tensor x = backend.allocate(ElementType.FP32, 4, 6);
        Tensor y = backend.allocate(ElementType.FP32, 4, 6);
        Tensor turned = backend.allocate(ElementType.BF16, 6, 4)) {
      assertRefused("valid is 0", () -> ops.softmax(x, 1, null, 0, y));
      assertRefused("valid is 7", () -> ops.softmax(x, 1, null, 7, y));
      assertRefused("group is -1", () -> ops.softmax(x, 1, null, 6, 0, -1, y));
      assertRefused("first_row 2", () -> ops.softmax(x, 1, null, 6, 2, 0, y));
      assertRefused("y", () -> ops.transpose(x, y));
      assertRefused("y", () -> ops.transpose(x, turned));
      assertRefused("b", () -> ops.multiply(x, turned, y));
    }
  }

  private static void assertRefused(String message, Runnable call) {
    String refusal = assertThrows(IllegalArgumentException.class, call::run).getMessage();
    assertTrue(refusal.contains(message), refusal);
  }

  /** The checks, on a backend. */
  static final class OperationChecks {
    private static final ElementType[] TYPES = {
      ElementType.FP32, ElementType.BF16, ElementType.FP16
    };

    private final Backend backend;
    private final Random random = new Random(7);

    OperationChecks(Backend backend) {
      this.backend = backend;
    }

    void all() {
      try (Operations ops = new Operations(backend)) {
        for (ElementType type : TYPES) {
          for (int columns : new int[] {1, 7, 64, 333}) {
            softmax(ops, type, columns, columns, 0, 0, true);
            softmax(ops, type, columns, (columns + 1) / 2, 0, 0, false);
            softmax(ops, type, columns, columns, 3, 1, true);
            softmax(ops, type, columns, columns, 0, 2, false);
          }
          multiply(ops, type);
          transpose(ops, type);
          halves(ops, type, 8);
          halves(ops, type, 130);
          quickGelu(ops, type);
        }
      }
    }

    private void softmax(
        Operations ops,
        ElementType type,
        int columns,
        int valid,
        int firstRow,
        int group,
        boolean biased) {
      int rows = 9;
      float scale = 0.7f;
      try (Tensor wide = backend.allocate(type, rows, columns + 8);
          Tensor bias = backend.allocate(ElementType.FP32, rows, columns);
          Tensor y = backend.allocate(type, rows, columns)) {
        fill(wide, 4);
        fill(bias, 2);
        Tensor x = wide.slice(1, 8, columns + 8); // rows apart from each other
        ops.softmax(x, scale, biased ? bias : null, valid, firstRow, group, y);
        float[] xs = x.toFloats();
        float[] bs = bias.toFloats();
        float[] ys = y.toFloats();
        for (int row = 0; row < rows; row++) {
          int seen = group == 0 ? valid : Math.min(valid, ((firstRow + row) / group + 1) * group);
          double[] weights = new double[seen];
          double sum = 0;
          for (int i = 0; i < seen; i++) {
            int at = row * columns + i;
            weights[i] = Math.exp(scale * (double) xs[at] + (biased ? bs[at] : 0));
            sum += weights[i];
          }
          for (int i = 0; i < columns; i++) {
            double expected = i < seen ? weights[i] / sum : 0;
            assertNear(expected, ys[row * columns + i], 2e-6, type, "softmax " + row + ", " + i);
          }
        }
      }
    }

    private void multiply(Operations ops, ElementType type) {
      try (Tensor a = backend.allocate(type, 5, 77);
          Tensor b = backend.allocate(type, 5, 77)) {
        fill(a, 1);
        fill(b, 1);
        float[] as = a.toFloats();
        float[] bs = b.toFloats();
        ops.multiply(a, b, a);
        float[] ys = a.toFloats();
        for (int i = 0; i < ys.length; i++) {
          assertNear((double) as[i] * bs[i], ys[i], 1e-7, type, "product " + i);
        }
      }
    }

    private void transpose(Operations ops, ElementType type) {
      int rows = 70;
      int columns = 45;
      try (Tensor wide = backend.allocate(type, rows, columns + 3);
          Tensor y = backend.allocate(type, columns, rows)) {
        fill(wide, 1);
        Tensor x = wide.slice(1, 3, columns + 3);
        ops.transpose(x, y);
        float[] xs = x.toFloats();
        float[] ys = y.toFloats();
        for (int i = 0; i < ys.length; i++) {
          assertEquals(xs[i % rows * columns + i / rows], ys[i], "transposed " + i);
        }
      }
    }

    private void halves(Operations ops, ElementType type, int headDim) {
      int rows = 6;
      int heads = 3;
      int half = headDim / 2;
      try (Tensor x = backend.allocate(type, rows, heads * headDim);
          Tensor cosine = backend.allocate(ElementType.FP32, rows, half);
          Tensor sine = backend.allocate(ElementType.FP32, rows, half)) {
        fill(x, 1);
        fill(cosine, 1);
        fill(sine, 1);
        float[] before = x.toFloats();
        float[] cos = cosine.toFloats();
        float[] sin = sine.toFloats();
        ops.ropeHalves(x, headDim, cosine, sine);
        float[] after = x.toFloats();
        for (int at = 0; at < after.length; at++) {
          int row = at / (heads * headDim);
          int within = at % headDim;
          int pair = within % half;
          double c = cos[row * half + pair];
          double s = sin[row * half + pair];
          double expected =
              within < half
                  ? before[at] * c - before[at + half] * s
                  : before[at] * c + before[at - half] * s;
          assertNear(expected, after[at], 1e-6, type, "rotated " + at);
        }
      }
    }

    private void quickGelu(Operations ops, ElementType type) {
      try (Tensor x = backend.allocate(type, 3, 50)) {
        fill(x, 3);
        float[] before = x.toFloats();
        ops.convert(x, Activation.QUICK_GELU, x);
        float[] after = x.toFloats();
        for (int i = 0; i < after.length; i++) {
          double expected = before[i] / (1 + Math.exp(-1.702 * before[i]));
          assertNear(expected, after[i], 1e-6, type, "quick gelu " + i);
        }
      }
    }

    private void fill(Tensor tensor, double deviation) {
      float[] values = new float[(int) tensor.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (deviation * random.nextGaussian());
      }
      tensor.copyFrom(values);
    }

    /** Within the arithmetic's error, and a rounding to the type, whose subnormals are coarser. */
    private static void assertNear(
        double expected, double value, double arithmetic, ElementType type, String what) {
      double rounding =
          switch (type) {
            case BF16 -> 0x1p-8 * Math.abs(expected);
            case FP16 -> 0x1p-11 * Math.abs(expected) + 0x1p-24;
            default -> 0;
          };
      double bound = arithmetic * Math.max(1, Math.abs(expected)) + rounding;
      assertTrue(
          Math.abs(value - expected) <= bound,
          () -> "%s in %s: %s; expected %s".formatted(what, type, value, expected));
    }
  }
}
