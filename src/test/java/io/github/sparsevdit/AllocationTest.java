package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.management.ManagementFactory;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A call makes no garbage. */
class AllocationTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @ParameterizedTest
  @EnumSource(names = {"BF16", "E4M3"}) // the latter with a workspace
  void runAllocatesNothing(ElementType type) {
    Sequence sequence = Sequence.video(2, 2, 4).withText(4, true);
    try (Backend backend = Backend.cpu();
        AttentionPlan plan =
            backend.plan(
                sequence,
                type,
                8,
                16,
                List.of(Pattern.multiDiagonal(1), Pattern.skip(), Pattern.full()));
        Tensor q = backend.allocate(ElementType.BF16, 2, 3, sequence.tokens(), 8);
        Tensor k = backend.allocate(ElementType.BF16, 2, 3, sequence.tokens(), 8);
        Tensor v = backend.allocate(ElementType.BF16, 2, 3, sequence.tokens(), 8);
        Tensor out = backend.allocate(ElementType.BF16, 2, 3, sequence.tokens(), 8);
        Tensor lse = backend.allocate(ElementType.FP32, 2, 3, sequence.tokens())) {
      List.of(q, k, v).forEach(tensor -> tensor.copyFrom(new float[(int) tensor.elements()]));
      AttentionCall call = plan.call().lse(lse).textValid(4, 1);
      assertEquals(0, bytesPerCall(() -> plan.run(q, k, v, out)));
      assertEquals(0, bytesPerCall(() -> call.run(q, k, v, out)));
      int[] counts = {4, 1};
      assertEquals(0, bytesPerCall(() -> plan.run(q, k, v, out, counts)));
    }
  }

  /** The face of a whole run: the plan looked up, with and without padded text. */
  @Test
  void sparseAttentionAllocatesNothing() {
    Sequence sequence = Sequence.video(2, 2, 4).withText(4, true);
    Policy policy = Policy.dense(new ModelShape("m", 2, 3, 8), 64);
    try (Backend backend = Backend.cpu();
        SparseAttention attention =
            SparseAttention.of(backend, policy, sequence, new Schedule(List.of(9.0, 5.0)));
        Tensor q = backend.allocate(ElementType.BF16, 2, 3, sequence.tokens(), 8);
        Tensor out = backend.allocate(ElementType.BF16, 2, 3, sequence.tokens(), 8)) {
      q.copyFrom(new float[(int) q.elements()]);
      int[] counts = {4, 1};
      assertEquals(0, bytesPerCall(() -> attention.run(1, 1, q, q, q, out)));
      assertEquals(0, bytesPerCall(() -> attention.run(1, 1, q, q, q, out, counts)));
    }
  }

  /**
   * Bytes a call takes once it is compiled: the least of several measurements, since compiling
   * allocates too.
   */
  private static long bytesPerCall(Runnable call) {
    int calls = 20_000;
    long thread = Thread.currentThread().threadId();
    long least = Long.MAX_VALUE;
    for (int round = 0; round < 5; round++) {
      long before = THREADS.getThreadAllocatedBytes(thread);
      for (int i = 0; i < calls; i++) {
        call.run();
      }
      least = Math.min(least, THREADS.getThreadAllocatedBytes(thread) - before);
    }
    return least / calls; // the measurement itself takes some bytes
  }
}
