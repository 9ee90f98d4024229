package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SparseAttentionTest {
  private static final Sequence SEQUENCE = Sequence.video(4, 8, 8);
  private static final ModelShape MODEL = new ModelShape("m", 3, 2, 16);
  private static final List<HeadEntry> NARROW = entries(Pattern.diagonal(0), Pattern.skip());
  private static final List<HeadEntry> WIDE = entries(Pattern.diagonal(64), Pattern.full());

  /** Dense above 800; then layers 0 and 2 alike and layer 1 by itself. */
  private static final DispatchTable TABLE =
      new DispatchTable(
          MODEL,
          SEQUENCE,
          64,
          null,
          List.of(Phase.full(1000, 800), new Phase(800, 0, List.of(NARROW, WIDE, NARROW))));

  private static List<HeadEntry> entries(Pattern... patterns) {
    return List.of(patterns).stream().map(HeadEntry::new).toList();
  }

  @Test
  void equalPatternsShareAPlan() {
    Schedule schedule = new Schedule(List.of(1000.0, 900.0, 800.0, 400.0, 0.0));
    try (Backend backend = Backend.cpu();
        SparseAttention attention = SparseAttention.of(backend, TABLE, SEQUENCE, schedule)) {
      assertEquals(3, attention.planCount());
      assertSame(attention.plan(0, 0), attention.plan(1, 2));
      assertSame(attention.plan(2, 0), attention.plan(4, 2));
      assertNotSame(attention.plan(2, 0), attention.plan(2, 1));
      assertNotSame(attention.plan(1, 0), attention.plan(2, 0));
      assertEquals(ElementType.BF16, attention.plan(0, 0).type());
      // Blocks of 64 are frames. Dense: 1. Narrow: (1/4 + 0) / 2. Wide: (10/16 + 1) / 2.
      double sparse = (2 * 0.125 + 0.8125) / 3;
      assertEquals((2 + 3 * sparse) / 5, attention.density(), 1e-12);
    }
  }

  @Test
  void runsTheLayersPlan() {
    Random random = new Random(3);
    try (Backend backend = Backend.cpu();
        SparseAttention attention =
            SparseAttention.of(
                backend, TABLE, SEQUENCE, new Schedule(List.of(999.0, 1.0)), ElementType.FP32);
        Tensor in = backend.allocate(ElementType.FP32, 1, 2, SEQUENCE.tokens(), 16);
        Tensor out = backend.allocate(ElementType.FP32, 1, 2, SEQUENCE.tokens(), 16);
        Tensor expected = backend.allocate(ElementType.FP32, 1, 2, SEQUENCE.tokens(), 16)) {
      float[] values = new float[(int) in.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      in.copyFrom(values);
      for (int step = 0; step < 2; step++) {
        for (int layer = 0; layer < 3; layer++) {
          List<Pattern> patterns = TABLE.patterns(step == 0 ? 999 : 1, layer);
          try (AttentionPlan plan = backend.plan(SEQUENCE, ElementType.FP32, 16, 64, patterns)) {
            plan.run(in, in, in, expected);
          }
          attention.run(step, layer, in, in, in, out);
          assertArrayEquals(expected.toFloats(), out.toFloats());
        }
      }
    }
  }

  @Test
  void paddedTextIsLeftOut() {
    Sequence sequence = Sequence.video(2, 2, 4).withText(4, false);
    Policy policy = Policy.dense(new ModelShape("m", 1, 1, 8), 64);
    Random random = new Random(5);
    float[] values = new float[2 * 20 * 8];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    try (Backend backend = Backend.cpu();
        SparseAttention attention =
            SparseAttention.of(
                backend, policy, sequence, new Schedule(List.of(5.0)), ElementType.FP32);
        Tensor in = backend.allocate(ElementType.FP32, 2, 1, 20, 8);
        Tensor out = backend.allocate(ElementType.FP32, 2, 1, 20, 8)) {
      in.copyFrom(values);
      int[] counts = {4, 1};
      attention.run(0, 0, in, in, in, out, counts);
      float[] got = out.toFloats();
      for (int row = 0; row < 2; row++) {
        int keys = 16 + counts[row];
        for (int query = 0; query < 20; query++) {
          assertArrayEquals(
              softmaxMean(values, row * 160, query, keys),
              Arrays.copyOfRange(got, row * 160 + query * 8, row * 160 + query * 8 + 8),
              1e-5f);
        }
      }
      assertThrows(
          IllegalArgumentException.class,
          () -> attention.run(0, 0, in, in, in, out, new int[] {5, 1}));
      assertThrows(
          IllegalArgumentException.class, () -> attention.run(0, 0, in, in, in, out, new int[1]));
    }
  }

  /** softmax(q·kᵀ/√8)·v of one query over the first keys, in double precision; q = k = v = x. */
  private static float[] softmaxMean(float[] x, int begin, int query, int keys) {
    double sum = 0;
    double[] mean = new double[8];
    for (int key = 0; key < keys; key++) {
      double dot = 0;
      for (int d = 0; d < 8; d++) {
        dot += x[begin + query * 8 + d] * x[begin + key * 8 + d];
      }
      double weight = Math.exp(dot / Math.sqrt(8));
      sum += weight;
      for (int d = 0; d < 8; d++) {
        mean[d] += weight * x[begin + key * 8 + d];
      }
    }
    float[] result = new float[8];
    for (int d = 0; d < 8; d++) {
      result[d] = (float) (mean[d] / sum);
    }
    return result;
  }

  @Test
  void closingClosesThePlans() {
    try (Backend backend = Backend.cpu()) {
      SparseAttention attention =
          SparseAttention.of(
              backend, Policy.dense(MODEL, 64), SEQUENCE, new Schedule(List.of(5.0)));
      assertEquals(1, attention.density());
      AttentionPlan plan = attention.plan(0, 0);
      attention.close();
      attention.close();
      assertThrows(IllegalStateException.class, plan::density);
    }
  }

  @Test
  void anotherSequenceIsRefused() {
    try (Backend backend = Backend.cpu()) {
      assertThrows(
          IllegalArgumentException.class,
          () ->
              SparseAttention.of(
                  backend, TABLE, Sequence.video(4, 8, 9), new Schedule(List.of(5.0))));
    }
  }
}
