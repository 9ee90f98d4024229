package io.github.sparsevdit.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Tensors over a caller's memory with strides of the caller's. */
class StridesTest {
  private static final int TOKENS = 32;
  private static final int HEADS = 2;
  private static final int DIM = 8;

  /** Each token's q, k and v of all heads lie together, as a fused projection leaves them. */
  @Test
  void attentionReadsFusedMemoryInPlace() {
    int row = 3 * HEADS * DIM;
    Random random = new Random(1);
    float[] fused = new float[TOKENS * row];
    for (int i = 0; i < fused.length; i++) {
      fused[i] = (float) random.nextGaussian();
    }
    long[] shape = {1, HEADS, TOKENS, DIM};
    long[] strides = {(long) TOKENS * row, DIM, row, 1};
    try (Backend backend = Backend.cpu();
        AttentionPlan plan =
            backend.plan(
                Sequence.video(2, 4, 4),
                ElementType.FP32,
                DIM,
                16,
                List.of(Pattern.full(), Pattern.diagonal(0)));
        Arena arena = Arena.ofConfined();
        Tensor out = backend.allocate(ElementType.FP32, shape);
        Tensor expected = backend.allocate(ElementType.FP32, shape)) {
      MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_FLOAT, fused);
      Tensor[] views = new Tensor[3];
      Tensor[] copies = new Tensor[3];
      for (int part = 0; part < 3; part++) {
        views[part] =
            Tensor.of(memory.asSlice(4L * part * HEADS * DIM), ElementType.FP32, shape, strides);
        float[] values = new float[HEADS * TOKENS * DIM];
        for (int i = 0; i < values.length; i++) {
          int head = i / (TOKENS * DIM);
          int token = i / DIM % TOKENS;
          values[i] = fused[token * row + (part * HEADS + head) * DIM + i % DIM];
        }
        assertArrayEquals(values, views[part].toFloats());
        copies[part] = backend.allocate(ElementType.FP32, shape).copyFrom(values);
      }
      plan.run(copies[0], copies[1], copies[2], expected);
      plan.run(views[0], views[1], views[2], out);
      assertArrayEquals(expected.toFloats(), out.toFloats());
      List.of(copies).forEach(Tensor::close);
    }
  }

  @Test
  void gapsAndAnOrderOfDimensionsArePermitted() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(2 * 64, 64);
      Tensor gaps = Tensor.of(memory, ElementType.BF16, new long[] {3, 4}, new long[] {10, 1});
      assertEquals(2 * (2 * 10 + 4), gaps.spanBytes());
      Tensor swapped =
          Tensor.of(memory, ElementType.BF16, new long[] {2, 3, 4}, new long[] {4, 8, 1});
      assertEquals(2 * 24, swapped.spanBytes());
      // A dimension of one element may have any stride, and an empty tensor any at all.
      Tensor.of(memory, ElementType.BF16, new long[] {1, 4}, new long[] {0, 1});
      Tensor.of(memory, ElementType.BF16, new long[] {4, 1}, new long[] {1, 7});
      Tensor empty = Tensor.of(memory, ElementType.BF16, new long[] {0, 4}, new long[] {0, 1});
      assertEquals(0, empty.spanBytes());
      gaps.copyFrom(new float[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
      assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, gaps.toFloats());
    }
  }

  @Test
  void otherStridesAreRefusedByValue() {
    refused(new long[] {2, 4}, new long[] {-4, 1}, "[-4, 1]");
    refused(new long[] {2, 4}, new long[] {3, 1}, "stride 3; expected at least 4");
    refused(new long[] {2, 4}, new long[] {0, 1}, "stride 0; expected at least 1");
    refused(new long[] {2, 3, 4}, new long[] {4, 4, 1}, "overlap along dimension");
    refused(new long[] {2, 4}, new long[] {8, 2}, "stride 2; expected 1");
    refused(new long[] {2, 4}, new long[] {4}, "[4]");
    refused(new long[] {2, 4}, new long[] {29, 1}, "reaches over 66 bytes; there are 64");
    refused(new long[] {2, 4}, new long[] {Long.MAX_VALUE, 1}, "2^63");
    refused(new long[] {-1, 4}, new long[] {4, 1}, "[-1, 4]");
    assertThrows(
        IllegalArgumentException.class,
        () ->
            Tensor.of(
                MemorySegment.ofArray(new byte[64]),
                ElementType.BF16,
                new long[] {2, 4},
                new long[] {4, 1}));
  }

  private static void refused(long[] shape, long[] strides, String words) {
    try (Arena arena = Arena.ofConfined()) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> Tensor.of(arena.allocate(64, 8), ElementType.BF16, shape, strides));
      assertTrue(e.getMessage().contains(words), e.getMessage());
    }
  }
}
