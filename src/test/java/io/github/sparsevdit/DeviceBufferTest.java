package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.cuda.CudaEvent;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.ref.WeakReference;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Memory of another library, here memory of our own behind its address. */
@Tag("cuda")
class DeviceBufferTest {
  private static final Sequence SEQUENCE = Sequence.video(1, 8, 16);

  private static float[] wave(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) Math.sin(i * 0.3 + i / 64);
    }
    return values;
  }

  @Test
  void attentionRunsInPlaceOnWrappedMemory() {
    int elements = 128 * 64;
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        Tensor theirs = cuda.allocate(ElementType.BF16, 2, elements);
        Tensor host = cpu.allocate(ElementType.BF16, 1, 1, 128, 64);
        Tensor expected = cpu.allocate(ElementType.BF16, 1, 1, 128, 64);
        AttentionPlan plan =
            cuda.plan(SEQUENCE, ElementType.BF16, 64, 64, List.of(Pattern.diagonal(30)));
        AttentionPlan onCpu =
            cpu.plan(SEQUENCE, ElementType.BF16, 64, 64, List.of(Pattern.diagonal(30)));
        DeviceBuffer ours = DeviceBuffer.wrap(theirs.address(), 4L * elements, 0, theirs)) {
      host.copyFrom(wave(elements));
      onCpu.run(host, host, host, expected);
      Tensor q = ours.tensor(ElementType.BF16, 1, 1, 128, 64);
      Tensor out = ours.tensor(2L * elements, ElementType.BF16, 1, 1, 128, 64);
      q.copyFrom(host.segment());
      plan.run(q, q, q, out);
      out.copyTo(host.segment());
      assertArrayEquals(expected.toFloats(), host.toFloats(), 0.02f);
      ours.close();
      assertThrows(IllegalStateException.class, () -> plan.run(q, q, q, out));
      theirs.slice(0, 1, 2).view(1, 1, 128, 64).copyTo(host.segment()); // not freed
      assertArrayEquals(expected.toFloats(), host.toFloats(), 0.02f);
    }
  }

  /** Neither the caller nor a tensor keeps the owner, but the work that is still to run does. */
  @Test
  void theOwnerIsKeptUntilTheWorkIsDone() throws Exception {
    try (Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        Tensor theirs = cuda.allocate(ElementType.BF16, 2, 128 * 64);
        AttentionPlan plan =
            cuda.plan(SEQUENCE, ElementType.BF16, 64, 64, List.of(Pattern.full()))) {
      WeakReference<Object> owner = queued(plan, stream, theirs.address());
      collect();
      assertNotNull(owner.get());
      stream.synchronize();
      collect();
      assertNull(owner.get());
    }
  }

  /** However many owners there are, those whose work is long done are let go, and no others. */
  @Test
  void ownersOfOldWorkAreLetGo() throws Exception {
    try (Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        Tensor theirs = cuda.allocate(ElementType.BF16, 2, 128 * 64);
        AttentionPlan plan =
            cuda.plan(SEQUENCE, ElementType.BF16, 64, 64, List.of(Pattern.skip()))) {
      WeakReference<Object> first = queued(plan, stream, theirs.address());
      for (int i = 1; i < 256; i++) {
        queued(plan, stream, theirs.address());
      }
      try (CudaEvent done = cuda.event()) {
        done.record(stream);
        for (int i = 256; i < 600; i++) {
          queued(plan, stream, theirs.address());
        }
        assertTrue(done.done()); // let go with the first, not before their work was done
      }
      collect();
      assertNull(first.get());
    }
  }

  private static WeakReference<Object> queued(AttentionPlan plan, CudaStream stream, long address) {
    Object owner = new Object();
    DeviceBuffer buffer = DeviceBuffer.wrap(address, 4 * 128 * 64, 0, owner);
    Tensor q = buffer.tensor(ElementType.BF16, 1, 1, 128, 64);
    Tensor out = buffer.tensor(2 * 128 * 64, ElementType.BF16, 1, 1, 128, 64);
    plan.run(q, q, q, out, stream);
    return new WeakReference<>(owner);
  }

  private static void collect() throws InterruptedException {
    for (int i = 0; i < 3; i++) {
      System.gc();
      Thread.sleep(20);
    }
  }

  @Test
  void aBufferHoldsCounts() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0)) {
      for (Backend backend : List.of(cpu, cuda)) {
        try (DeviceBuffer buffer = backend.buffer(12)) {
          buffer.copyFrom(4, 5, 6);
          buffer.copyFrom(7);
          int[] back = new int[3];
          buffer.copyTo(MemorySegment.ofArray(back));
          assertArrayEquals(new int[] {7, 5, 6}, back);
          assertThrows(IllegalArgumentException.class, () -> buffer.copyFrom(1, 2, 3, 4));
          buffer.close();
          assertThrows(IllegalStateException.class, () -> buffer.copyFrom(1));
        }
      }
    }
  }

  @Test
  void misuseIsRefusedByName() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        DeviceBuffer onCpu = cpu.buffer(64);
        DeviceBuffer small = cuda.buffer(2);
        Tensor q = cuda.allocate(ElementType.BF16, 1, 1, 128, 64);
        Tensor out = cuda.allocate(ElementType.BF16, 1, 1, 128, 64);
        AttentionPlan plan =
            cuda.plan(SEQUENCE, ElementType.BF16, 64, 64, List.of(Pattern.full()))) {
      refused(() -> DeviceBuffer.wrap(0, 8, 0, null), "address");
      refused(() -> DeviceBuffer.wrap(64, 0, 0, null), "bytes is 0");
      refused(() -> DeviceBuffer.wrap(64, Long.MAX_VALUE, 0, null), "bytes is");
      refused(() -> DeviceBuffer.wrap(64, 8, -2, null), "-2");
      refused(() -> small.tensor(ElementType.BF16, 2), "takes 4 bytes");
      refused(() -> small.tensor(4, ElementType.BF16, 0), "from 4 on");
      refused(() -> plan.call().textValid(onCpu).run(q, q, q, out), "in host memory");
      refused(() -> plan.call().textValid(small).run(q, q, q, out), "expected 1 ints");
      Exception misaligned =
          assertThrows(
              InvalidArgumentException.class,
              () -> {
                Tensor odd =
                    DeviceBuffer.wrap(q.address() + 8, q.spanBytes() - 8, 0, q)
                        .tensor(ElementType.BF16, 1, 1, 127, 64);
                AttentionPlan shorter =
                    cuda.plan(
                        Sequence.video(1, 1, 127),
                        ElementType.BF16,
                        64,
                        64,
                        List.of(Pattern.full()));
                try (shorter;
                    Tensor fits = cuda.allocate(ElementType.BF16, 1, 1, 127, 64)) {
                  shorter.run(odd, odd, odd, fits);
                }
              });
      assertTrue(misaligned.getMessage().contains("multiple of 16"), misaligned.getMessage());
      assertEquals(64, onCpu.bytes());
    }
  }

  private static void refused(Runnable call, String word) {
    Exception refused = assertThrows(IllegalArgumentException.class, call::run);
    assertTrue(refused.getMessage().contains(word), refused.getMessage());
  }
}
