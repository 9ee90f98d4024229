package io.github.sparsevdit.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Linear layers against double arithmetic, and what operations refuse. */
class OperationsTest {
  private static Backend backend;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 5, 3, BF16, BF16, NONE, true",
    "1, 1536, 256, BF16, FP32, NONE, true",
    "33, 70, 129, BF16, BF16, GELU_TANH, true",
    "300, 520, 64, BF16, FP32, SILU, false",
    "1000, 272, 256, BF16, BF16, NONE, true",
    "1, 5, 3, FP32, FP32, SILU, true",
    "33, 70, 129, FP32, FP32, GELU_TANH, false",
    "300, 520, 64, FP32, FP32, NONE, true",
    "1000, 272, 256, FP32, FP32, GELU_TANH, true",
  })
  void linear(
      int rows,
      int outputs,
      int inputs,
      ElementType type,
      ElementType yType,
      Activation activation,
      boolean withBias) {
    Random random = new Random(rows * 31L + inputs);
    try (Tensor wide = backend.allocate(type, rows, inputs + 8);
        Tensor weight = backend.allocate(type, outputs, inputs);
        Tensor bias = backend.allocate(ElementType.FP32, outputs);
        Tensor y = backend.allocate(yType, rows, outputs)) {
      wide.copyFrom(gaussian(random, rows * (inputs + 8)));
      weight.copyFrom(gaussian(random, outputs * inputs));
      bias.copyFrom(gaussian(random, outputs));
      Tensor x = wide.slice(1, 8, inputs + 8); // rows further apart than they are long
      new Operations(backend).linear(x, weight, withBias ? bias : null, activation, y);
      float[] xs = x.toFloats();
      float[] ws = weight.toFloats();
      float[] bs = bias.toFloats();
      float[] ys = y.toFloats();
      for (int r = 0; r < rows; r++) {
        for (int o = 0; o < outputs; o++) {
          double sum = withBias ? bs[o] : 0;
          double magnitude = Math.abs(sum);
          for (int i = 0; i < inputs; i++) {
            double product = (double) xs[r * inputs + i] * ws[o * inputs + i];
            sum += product;
            magnitude += Math.abs(product);
          }
          double expected = activate(activation, sum);
          // Any order of fp32 additions stays within (n + 1) u of the sum of magnitudes; an
          // activation stretches that by at most 1.13.
          double bound =
              1.13 * (inputs + 2) * 0x1p-24 * magnitude
                  + 0x1p-22
                  + (yType == ElementType.BF16 ? 0x1p-8 * Math.abs(expected) : 0);
          double error = Math.abs(ys[r * outputs + o] - expected);
          assertTrue(error <= bound, "row " + r + ", output " + o + ": " + error + " > " + bound);
        }
      }
    }
  }

  private static double activate(Activation activation, double x) {
    return switch (activation) {
      case NONE -> x;
      case SILU -> x / (1 + Math.exp(-x));
      case GELU_TANH ->
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
    };
  }

  @Test
  void manyThreadsAtOnce() throws Exception {
    Random random = new Random(7);
    try (Tensor x = backend.allocate(ElementType.FP32, 300, 96);
        Tensor weight = backend.allocate(ElementType.FP32, 400, 96);
        Tensor expected = backend.allocate(ElementType.FP32, 300, 400);
        ExecutorService threads = Executors.newFixedThreadPool(8)) {
      x.copyFrom(gaussian(random, 300 * 96));
      weight.copyFrom(gaussian(random, 400 * 96));
      new Operations(backend).linear(x, weight, null, Activation.NONE, expected);
      List<Future<float[]>> results = new ArrayList<>();
      for (int i = 0; i < 32; i++) {
        results.add(
            threads.submit(
                () -> {
                  try (Tensor y = backend.allocate(ElementType.FP32, 300, 400)) {
                    new Operations(backend).linear(x, weight, null, Activation.NONE, y);
                    return y.toFloats();
                  }
                }));
      }
      for (Future<float[]> result : results) {
        assertArrayEquals(expected.toFloats(), result.get());
      }
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    Operations ops = new Operations(backend);
    try (Tensor x = backend.allocate(ElementType.FP32, 4, 6);
        Tensor weight = backend.allocate(ElementType.FP32, 5, 7);
        Tensor half = backend.allocate(ElementType.FP16, 4, 6);
        Tensor y = backend.allocate(ElementType.FP32, 4, 5)) {
      refused("7 inputs", () -> ops.linear(x, weight, null, Activation.NONE, y));
      refused("expected [4, 6]", () -> ops.layerNorm(x, null, null, null, null, 1e-6f, y));
      refused("divide", () -> ops.rmsNorm(x, null, 4, 1e-6f, x));
      refused("expected [1, 6]", () -> ops.residual(x, y, x));
      refused("overlaps", () -> ops.convert(x.slice(0, 0, 3), Activation.NONE, x.slice(0, 1, 4)));
      refused("contiguous columns", () -> ops.convert(x.transpose(0, 1), Activation.NONE, y));
      refused("expected FP16", () -> ops.linear(half, x, null, Activation.NONE, y));
    }
    Tensor closed = backend.allocate(ElementType.FP32, 4, 6);
    closed.close();
    assertThrows(IllegalStateException.class, () -> ops.convert(closed, Activation.NONE, closed));
  }

  private static void refused(String why, Runnable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call::run);
    assertTrue(e.getMessage().contains(why), e::getMessage);
  }

  private static float[] gaussian(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}
