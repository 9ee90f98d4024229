package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.sparsevdit.DispatchTable.HeadEntry;
import io.github.sparsevdit.DispatchTable.Phase;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
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
