package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CancellationTest {
  private static final Sequence SEQUENCE = Sequence.video(8, 16, 16);
  private static final Policy DENSE = Policy.dense(new ModelShape("m", 1, 4, 64), 64);

  @ParameterizedTest
  @EnumSource(names = {"BF16", "E4M3"})
  void anotherThreadEndsACall(ElementType type) throws Exception {
    try (Backend backend = Backend.cpu(new CpuOptions(2, CpuOptions.Tier.AUTO));
        SparseAttention attention =
            SparseAttention.of(backend, DENSE, SEQUENCE, new Schedule(List.of(5.0)), type);
        Tensor in = backend.allocate(ElementType.BF16, 8, 4, SEQUENCE.tokens(), 64);
        Tensor out = backend.allocate(ElementType.BF16, 8, 4, SEQUENCE.tokens(), 64)) {
      float[] values = new float[(int) in.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (i * 31 % 17 - 8) / 8f;
      }
      in.copyFrom(values);
      long begin = System.nanoTime();
      attention.run(0, 0, in, in, in, out);
      final long whole = System.nanoTime() - begin;
      final float[] expected = out.toFloats();

      Cancellation unused = new Cancellation();
      attention.run(0, 0, in, in, in, out, null, unused);
      assertArrayEquals(expected, out.toFloats());
      assertFalse(unused.cancelled());

      Cancellation cancellation = new Cancellation();
      Thread canceller =
          new Thread(
              () -> {
                try {
                  Thread.sleep(whole / 10 / 1_000_000, (int) (whole / 10 % 1_000_000));
                } catch (InterruptedException e) {
                  throw new AssertionError(e);
                }
                cancellation.cancel();
              });
      canceller.start();
      // Whenever the other thread comes to it: calls go on until one is cut short.
      assertThrows(
          CancellationException.class,
          () -> {
            for (; ; ) {
              attention.run(0, 0, in, in, in, out, null, cancellation);
            }
          });
      canceller.join();
      assertTrue(cancellation.cancelled());

      // One that is cancelled already does not begin: out stays.
      out.copyFrom(new float[values.length]);
      assertThrows(
          CancellationException.class,
          () -> attention.run(0, 0, in, in, in, out, null, cancellation));
      AttentionCall call = attention.plan(0, 0).call().cancellation(cancellation);
      assertThrows(CancellationException.class, () -> call.run(in, in, in, out));
      assertArrayEquals(new float[values.length], out.toFloats());

      call.cancellation(null).run(in, in, in, out);
      assertArrayEquals(expected, out.toFloats());
      attention.run(0, 0, in, in, in, out);
      assertArrayEquals(expected, out.toFloats());
      assertTrue(backend.metrics().calls() >= 4);
    }
  }
}
