package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class BackendMetricsTest {
  @Test
  void callsAndPairs() {
    Sequence sequence = Sequence.video(4, 8, 8).withText(64, false);
    List<Pattern> patterns = List.of(Pattern.full(), Pattern.skip(), Pattern.diagonal(0));
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = backend.plan(sequence, ElementType.FP32, 16, 64, patterns)) {
      assertEquals(0, backend.metrics().calls());
      assertEquals(Double.NaN, backend.metrics().density());
      assertEquals(0, backend.metrics().memoryBytes());
      assertEquals(1, backend.metrics().plansCompiled());
      try (Tensor in = backend.allocate(ElementType.FP32, 2, 3, sequence.tokens(), 16);
          Tensor out = backend.allocate(ElementType.FP32, 2, 3, sequence.tokens(), 16)) {
        in.copyFrom(new float[(int) in.elements()]);
        plan.run(in, in, in, out);
        BackendMetrics one = backend.metrics();
        assertEquals(1, one.calls());
        assertTrue(one.callNanos() > 0);
        long pairs = 320L * 320 * 2 * 3;
        assertEquals(pairs, one.allPairs());
        // A diagonal head's video blocks see themselves and the text; its text sees all.
        double diagonal = (4 * 2 + 5) / 25.0;
        assertEquals((1 + diagonal) / 3, one.density(), 1e-6);
        assertEquals(2 * in.spanBytes(), one.memoryBytes());
        plan.call().heads(0, 1).queryBlocks(0, 1).run(in, in, in, out);
        assertEquals(2, backend.metrics().calls());
        assertEquals(pairs + pairs / 3 / 5, backend.metrics().allPairs());
        assertThrows(IllegalArgumentException.class, () -> plan.run(in, in, in, in)); // is no call
        assertEquals(2, backend.metrics().calls());
      }
    }
  }

  /** Callers beyond the threads wait, which is counted. */
  @Test
  void waits() throws Exception {
    try (Backend backend = Backend.cpu(new CpuOptions(1, CpuOptions.Tier.AUTO));
        AttentionPlan plan =
            backend.plan(
                Sequence.video(8, 16, 16),
                ElementType.BF16,
                64,
                64,
                Collections.nCopies(4, Pattern.full()));
        Tensor in = backend.allocate(ElementType.BF16, 1, 4, 2048, 64)) {
      in.copyFrom(new float[(int) in.elements()]);
      Thread[] callers = new Thread[Runtime.getRuntime().availableProcessors() + 4];
      for (int i = 0; i < callers.length; i++) {
        callers[i] =
            new Thread(
                () -> {
                  try (Tensor out = backend.allocate(ElementType.BF16, 1, 4, 2048, 64)) {
                    for (int call = 0; call < 5; call++) {
                      plan.run(in, in, in, out);
                    }
                  }
                });
        callers[i].start();
      }
      for (Thread caller : callers) {
        caller.join();
      }
      BackendMetrics metrics = backend.metrics();
      assertEquals(5L * callers.length, metrics.calls());
      assertTrue(metrics.queueWaits() > 0, metrics.toString());
      assertTrue(metrics.queueWaitNanos() > 0, metrics.toString());
      // A call's time has its waits in it.
      assertTrue(metrics.queueWaitNanos() < metrics.callNanos(), metrics.toString());
    }
  }
}
