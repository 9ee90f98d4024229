package io.github.sparsevdit.model.parts;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Linear layers against double arithmetic, and what operations refuse. */
class OperationsTest {
  private static final List<AutoCloseable> opened = new ArrayList<>();
  private static Backend backend;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() throws Exception {
    for (AutoCloseable one : opened) {
      one.close();
    }
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
      case GELU_ERF, QUICK_GELU -> throw new IllegalArgumentException("follows no product");
    };
  }

  @Test
  void geluByTheErrorFunction() {
    // 0.5 x (1 + erf(x / sqrt 2)), to 12 digits.
    double[][] known = {
      {-6, -5.91952587022e-9}, {-1, -0.158655253931}, {0.5, 0.345731230638}, {3, 2.99595030591}
    };
    try (Tensor x = backend.allocate(ElementType.FP32, 1, known.length)) {
      float[] values = new float[known.length];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) known[i][0];
      }
      new Operations(backend).convert(x.copyFrom(values), Activation.GELU_ERF, x);
      for (int i = 0; i < values.length; i++) {
        assertEquals(known[i][1], x.toFloats()[i], 1e-6 * Math.abs(known[i][1]));
      }
    }
  }

  @Test
  void twoInOneAreOneAfterTheOther() {
    Random random = new Random(3);
    Operations ops = new Operations(backend);
    try (Tensor x = backend.allocate(ElementType.FP32, 5, 24);
        Tensor sum = backend.allocate(ElementType.FP32, 5, 24);
        Tensor y = backend.allocate(ElementType.FP32, 5, 24);
        Tensor row = backend.allocate(ElementType.FP32, 1, 24);
        Tensor head = backend.allocate(ElementType.FP32, 8);
        RotaryTable table =
            RotaryTable.of(backend, Sequence.video(1, 1, 3), new int[] {2, 2, 4}, 100)) {
      row.copyFrom(gaussian(random, 24));
      head.copyFrom(gaussian(random, 8));
      float[] xs = gaussian(random, 5 * 24);
      float[] sums = gaussian(random, 5 * 24);
      float[][] results = new float[2][];
      for (int way = 0; way < 2; way++) {
        x.copyFrom(xs);
        sum.copyFrom(sums);
        if (way == 0) {
          ops.residual(x, row, sum);
          ops.layerNorm(sum, null, null, row, row, 1e-6f, y);
          ops.rmsNorm(y, head, 8, 1e-6f, y);
          ops.rope(y.slice(0, 1, 4), 8, table);
          ops.layerNormGroups(y, head, head, 8, 1e-6f, y);
          ops.rope(y.slice(0, 2, 5), 8, table);
        } else {
          ops.residualNorm(x, row, sum, null, null, row, row, 1e-6f, y);
          ops.rmsNormRotated(y, head, 8, 1e-6f, y.slice(0, 1, 4), 8, table);
          ops.layerNormRotated(y, head, head, 8, 1e-6f, y.slice(0, 2, 5), 8, table);
        }
        results[way] = y.toFloats();
      }
      assertArrayEquals(results[0], results[1]);
      refused(
          "rope.x is not rows",
          () -> ops.rmsNormRotated(y, head, 8, 0, x.slice(0, 0, 3), 8, table));
      refused(
          "expected [5, 24]", () -> ops.residualNorm(x, row, sum, null, null, null, null, 0, row));
    }
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

  /** Operations on x, which another thread closes. */
  static List<Named<BiConsumer<Operations, Tensor>>> operations() {
    Tensor weight = backend.allocate(ElementType.FP32, 64, COLUMNS);
    Tensor row = backend.allocate(ElementType.FP32, 1, COLUMNS);
    Tensor product = backend.allocate(ElementType.FP32, ROWS, 64);
    Tensor other = backend.allocate(ElementType.BF16, ROWS, COLUMNS);
    RotaryTable angles =
        RotaryTable.of(backend, Sequence.video(1, 64, 64), new int[] {8, 8, 16}, 9);
    opened.addAll(List.of(weight, row, product, other, angles));
    weight.copyFrom(new float[64 * COLUMNS]);
    row.copyFrom(new float[COLUMNS]);
    return List.of(
        named("linear", (ops, x) -> ops.linear(x, weight, null, Activation.NONE, product)),
        named("layerNorm", (ops, x) -> ops.layerNorm(x, null, null, row, row, 1e-6f, other)),
        named("rmsNorm", (ops, x) -> ops.rmsNorm(x, row, 0, 1e-6f, x)),
        named("rope", (ops, x) -> ops.rope(x, 32, angles)),
        named("residual", (ops, x) -> ops.residual(other, row, x)),
        named("convert", (ops, x) -> ops.convert(x, Activation.SILU, other)));
  }

  private static Named<BiConsumer<Operations, Tensor>> named(
      String name, BiConsumer<Operations, Tensor> operation) {
    return Named.of(name, operation);
  }

  /** Memory that malloc gives back to the system at once, so that a stray access would show. */
  private static final int ROWS = 4096;

  private static final int COLUMNS = 2560;

  @ParameterizedTest
  @MethodSource("operations")
  void aTensorIsNotClosedUnderACall(BiConsumer<Operations, Tensor> operation) throws Exception {
    for (int round = 0; round < 4; round++) {
      Tensor x = backend.allocate(ElementType.FP32, ROWS, COLUMNS);
      Operations ops = new Operations(backend);
      AtomicReference<Throwable> ended = new AtomicReference<>();
      CountDownLatch started = new CountDownLatch(1);
      Thread caller =
          new Thread(
              () -> {
                try {
                  while (true) {
                    operation.accept(ops, x);
                    started.countDown();
                  }
                } catch (Throwable thrown) {
                  ended.set(thrown);
                }
              });
      caller.start();
      assertTrue(started.await(60, TimeUnit.SECONDS));
      Thread.sleep(round);
      x.close();
      caller.join();
      assertEquals(IllegalStateException.class, ended.get().getClass(), ended.get().toString());
    }
  }

  /** Tensors over memory of the caller's do not keep the backend open; a running call does. */
  @Test
  void theBackendIsNotClosedUnderACall() throws Exception {
    try (Arena arena = Arena.ofShared()) {
      Tensor x = Tensor.of(arena.allocate(4L * 2048 * 512, 64), ElementType.FP32, 2048, 512);
      Tensor y = Tensor.of(arena.allocate(4L * 2048 * 512, 64), ElementType.FP32, 2048, 512);
      for (int round = 0; round < 5; round++) {
        Backend mine = Backend.cpu();
        Operations ops = new Operations(mine);
        AtomicReference<Throwable> ended = new AtomicReference<>();
        CountDownLatch started = new CountDownLatch(1);
        Thread caller =
            new Thread(
                () -> {
                  try {
                    while (true) {
                      ops.linear(x, x.slice(0, 0, 512), null, Activation.NONE, y);
                      ops.convert(x, Activation.SILU, y);
                      started.countDown();
                    }
                  } catch (Throwable thrown) {
                    ended.set(thrown);
                  }
                });
        caller.start();
        assertTrue(started.await(60, TimeUnit.SECONDS));
        mine.close();
        caller.join();
        assertEquals(IllegalStateException.class, ended.get().getClass(), ended.get().toString());
        assertEquals("the backend is closed", ended.get().getMessage());
      }
    }
  }

  @Test
  void refusesMemoryThatIsNotForIt() throws Exception {
    Operations ops = new Operations(backend);
    try (Arena arena = Arena.ofConfined();
        Tensor x = backend.allocate(ElementType.FP32, 4, 6)) {
      MemorySegment mine = arena.allocate(4 * 6 * 4, 4);
      Tensor constant = Tensor.of(mine.asReadOnly(), ElementType.FP32, 4, 6);
      refused("read-only", () -> ops.convert(x, Activation.NONE, constant));
      refused("read-only", () -> ops.rmsNorm(constant, null, 0, 1e-6f, constant));
      Tensor confined = Tensor.of(mine, ElementType.FP32, 4, 6);
      ops.convert(confined, Activation.NONE, x);
      AtomicReference<Throwable> thrown = new AtomicReference<>();
      Thread other =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      new Operations(backend).convert(confined, Activation.NONE, x);
                    } catch (Throwable refused) {
                      thrown.set(refused);
                    }
                  });
      other.join();
      assertEquals(
          IllegalArgumentException.class, thrown.get().getClass(), thrown.get().toString());
    }
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
