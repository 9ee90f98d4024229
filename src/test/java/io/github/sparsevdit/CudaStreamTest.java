package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.github.sparsevdit.cuda.CudaEvent;
import io.github.sparsevdit.cuda.CudaGraph;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Streams, events, asynchronous copies, and what closing waits for. */
@Tag("cuda")
class CudaStreamTest {
  private static final Sequence SEQUENCE = Sequence.video(2, 8, 8).withText(10, false);
  private static final List<Pattern> PATTERNS =
      List.of(Pattern.multiDiagonal(3), Pattern.full(), Pattern.verticalStripe(1));

  /** One plan, a stream and other tensors per thread: nobody meets another's workspace. */
  @Test
  void threadsShareAPlanEachOnAStreamOfItsOwn() throws Exception {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<?>> results = new ArrayList<>();
      try (Layer first = new Layer(cuda, 0)) {
        for (int t = 0; t < 4; t++) {
          int seed = t;
          results.add(
              threads.submit(
                  () -> {
                    try (Layer mine = new Layer(cuda, seed);
                        CudaStream stream = cuda.stream()) {
                      for (int round = 0; round < 3; round++) {
                        first.plan.run(mine.q, mine.k, mine.v, mine.out, stream);
                      }
                      assertArrayEquals(mine.expected(cpu), mine.result(cuda), 0.02f);
                    }
                    return null;
                  }));
        }
        for (Future<?> result : results) {
          result.get();
        }
      }
    }
  }

  /** Threads may also share a stream: the pieces of one call stay together. */
  @Test
  void threadsShareAStream() throws Exception {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> results = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int seed = t;
        results.add(
            threads.submit(
                () -> {
                  try (Layer mine = new Layer(cuda, seed)) {
                    mine.plan.run(mine.q, mine.k, mine.v, mine.out, stream);
                    mine.plan.run(mine.q, mine.k, mine.v, mine.out, stream);
                    assertArrayEquals(mine.expected(cpu), mine.result(cuda), 0.02f);
                  }
                  return null;
                }));
      }
      for (Future<?> result : results) {
        result.get();
      }
    }
  }

  /** What is closed right after a call is freed only once the call's work is done. */
  @Test
  void closingWaitsForTheStreamsThatUseIt() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        Layer kept = new Layer(cuda, 1)) {
      for (int round = 0; round < 4; round++) {
        CudaStream stream = cuda.stream();
        Layer gone = new Layer(cuda, 1);
        gone.plan.run(gone.q, gone.k, gone.v, kept.out, stream);
        if (round % 2 == 0) {
          gone.close();
          stream.close();
        } else {
          stream.close();
          gone.close();
        }
        assertArrayEquals(kept.expected(cpu), kept.result(cuda), 0.02f);
        assertThrows(
            IllegalStateException.class,
            () -> kept.plan.run(kept.q, kept.k, kept.v, kept.out, stream));
        assertThrows(
            IllegalStateException.class, () -> kept.plan.run(gone.q, kept.k, kept.v, kept.out));
      }
    }
  }

  /**
   * Whatever a call is given: its close() returns once the call's work is done. While a stream is
   * captured, freeing memory does not wait for the device.
   */
  @Test
  void closingAnyArgumentWaits() {
    long[] shape = {1, PATTERNS.size(), SEQUENCE.tokens(), 64};
    try (Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        CudaStream captured = cuda.stream();
        AttentionPlan plan = cuda.plan(SEQUENCE, ElementType.BF16, 64, 64, PATTERNS)) {
      for (int closed = 0; closed < 7; closed++) {
        try (Tensor q = cuda.allocate(ElementType.BF16, shape);
            Tensor k = cuda.allocate(ElementType.BF16, shape);
            Tensor v = cuda.allocate(ElementType.BF16, shape);
            Tensor out = cuda.allocate(ElementType.BF16, shape);
            Tensor lse = cuda.allocate(ElementType.FP32, 1, PATTERNS.size(), SEQUENCE.tokens());
            Tensor workspace = cuda.allocate(ElementType.FP32, plan.workspaceBytes(1) / 4 + 1);
            DeviceBuffer valid = cuda.buffer(4);
            CudaEvent done = cuda.event()) {
          valid.copyFrom(5);
          plan.call().lse(lse).workspace(workspace).textValid(valid).run(q, k, v, out, stream);
          done.record(stream);
          List<Runnable> arguments =
              List.of(
                  q::close,
                  k::close,
                  v::close,
                  out::close,
                  lse::close,
                  workspace::close,
                  valid::close);
          captured.capture(arguments.get(closed)).close();
          assertTrue(done.done(), "argument " + closed);
        }
      }
    }
  }

  /**
   * The default stream may not be waited for during a capture. What its work uses may be closed
   * then, by the capturing thread or another, and is freed when the capture has ended: a buffer, a
   * tensor, a plan, a graph, a backend.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whatIsClosedDuringACaptureIsFreedAfterIt(boolean elsewhere) {
    SimulatedDevice.configure("late_us=20000");
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream captured = cuda.stream();
        CudaStream legacy = CudaStream.wrap(0);
        Layer kept = new Layer(cuda, 9)) {
      kept.plan.run(kept.q, kept.k, kept.v, kept.out); // the default stream's workspace
      cuda.synchronize();
      long before = SimulatedDevice.memoryUsed();
      Backend second = Backend.cuda(0);
      DeviceBuffer valid = second.buffer(4);
      Layer gone = new Layer(second, 9);
      CudaGraph graph =
          captured.capture(() -> gone.plan.run(gone.q, gone.k, gone.v, gone.out, captured));
      valid.copyFrom(7);
      gone.plan.call().textValid(valid).run(gone.q, gone.k, gone.v, kept.out);
      graph.launch(legacy);
      long used = SimulatedDevice.memoryUsed();
      Runnable close =
          () -> {
            valid.close();
            graph.close();
            gone.close();
            second.close();
          };
      captured
          .capture(
              () -> {
                if (elsewhere) {
                  CompletableFuture.runAsync(close).join();
                } else {
                  close.run();
                }
                assertEquals(used, SimulatedDevice.memoryUsed(), "freed while it may be in use");
              })
          .close();
      assertEquals(before, SimulatedDevice.memoryUsed());
      assertArrayEquals(kept.expected(cpu, 7), kept.result(cuda), 0.02f);
    } finally {
      SimulatedDevice.configure("");
    }
  }

  /** Also where what is captured fails: the capture ends all the same. */
  @Test
  void whatIsClosedDuringACaptureThatFailsIsFreed() {
    SimulatedDevice.configure("");
    try (Backend cuda = Backend.cuda(0);
        CudaStream captured = cuda.stream();
        Layer layer = new Layer(cuda, 9)) {
      layer.plan.run(layer.q, layer.k, layer.v, layer.out);
      long before = SimulatedDevice.memoryUsed();
      DeviceBuffer valid = cuda.buffer(4);
      valid.copyFrom(7);
      layer.plan.call().textValid(valid).run(layer.q, layer.k, layer.v, layer.out);
      assertThrows(
          ArithmeticException.class,
          () ->
              captured.capture(
                  () -> {
                    valid.close();
                    throw new ArithmeticException("mine");
                  }));
      assertEquals(before, SimulatedDevice.memoryUsed());
    }
  }

  /**
   * Memory that is not ours cannot be freed later, for its owner frees it: while this thread
   * captures, it stays open.
   */
  @Test
  void wrappedMemoryOfTheDefaultStreamIsClosedAfterTheCapture() {
    try (Backend cuda = Backend.cuda(0);
        CudaStream captured = cuda.stream();
        DeviceBuffer theirs = cuda.buffer(4);
        Layer layer = new Layer(cuda, 9)) {
      theirs.copyFrom(7);
      DeviceBuffer wrapped = DeviceBuffer.wrap(theirs.address(), 4, 0, theirs);
      layer.plan.call().textValid(wrapped).run(layer.q, layer.k, layer.v, layer.out);
      IllegalStateException refused =
          assertThrows(IllegalStateException.class, () -> captured.capture(wrapped::close));
      assertTrue(refused.getMessage().contains("after the capture"), refused.getMessage());
      layer.plan.call().textValid(wrapped).run(layer.q, layer.k, layer.v, layer.out);
      wrapped.close();
    }
  }

  /**
   * One thread captures in a loop, another does all that makes, fills, uses, reads and closes:
   * neither disturbs the other.
   */
  @Test
  void threadsCaptureWhileOthersUseTheDevice() throws Exception {
    if (SimulatedDevice.present()) {
      SimulatedDevice.configure("");
    }
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        ExecutorService threads = Executors.newFixedThreadPool(2)) {
      AtomicBoolean stop = new AtomicBoolean();
      Future<Integer> busy =
          threads.submit(
              () -> {
                int rounds = 0;
                for (; !stop.get() || rounds == 0; rounds++) {
                  try (Backend own = Backend.cuda(0);
                      CudaStream stream = own.stream();
                      CudaEvent done = own.event();
                      DeviceBuffer valid = own.buffer(4);
                      Layer layer = new Layer(own, rounds)) {
                    valid.copyFrom(rounds % 10);
                    AttentionCall call = layer.plan.call();
                    call.textValid(valid).run(layer.q, layer.k, layer.v, layer.out);
                    assertArrayEquals(layer.expected(cpu, rounds % 10), layer.result(own), 0.02f);
                    layer.plan.run(layer.q, layer.k, layer.v, layer.out, stream);
                    done.record(stream);
                    done.synchronize();
                    own.synchronize();
                    layer.plan.run(layer.q, layer.k, layer.v, layer.out); // under way when closed
                  }
                }
                return rounds;
              });
      try (CudaStream stream = cuda.stream();
          Layer layer = new Layer(cuda, 5)) {
        float[] expected = layer.expected(cpu);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(3);
        for (int round = 0; round < 20 || System.nanoTime() < end; round++) {
          Runnable work =
              () -> {
                layer.plan.run(layer.q, layer.k, layer.v, layer.out, stream);
                LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(500)); // let others meet it
              };
          try (CudaGraph graph = stream.capture(work)) {
            graph.launch(stream);
          }
          if (round % 8 == 0) {
            assertArrayEquals(expected, layer.result(cuda), 0.02f);
          }
        }
      } finally {
        stop.set(true);
      }
      assertTrue(busy.get() > 0);
    }
  }

  /** Who closes a plan during a capture does not wait for a call that waits for the capture. */
  @Test
  void aPlanIsClosedDuringACaptureThatItsCallWaitsFor() throws Exception {
    try (Backend cuda = Backend.cuda(0);
        CudaStream captured = cuda.stream();
        Layer layer = new Layer(cuda, 9)) {
      Thread[] caller = new Thread[1];
      captured
          .capture(
              () -> {
                caller[0] =
                    Thread.ofPlatform()
                        .start(
                            () -> {
                              try {
                                layer.plan.run(layer.q, layer.k, layer.v, layer.out);
                              } catch (IllegalStateException closed) {
                                // as it should be
                              }
                            });
                while (caller[0].getState() != Thread.State.TIMED_WAITING) {
                  Thread.onSpinWait();
                }
                layer.plan.close();
              })
          .close();
      caller[0].join();
    }
  }

  @Test
  void theDefaultStreamCannotBeCaptured() {
    try (Backend cuda = Backend.cuda(0);
        CudaStream legacy = CudaStream.wrap(0);
        DeviceBuffer used = cuda.buffer(4)) {
      used.copyFrom(1);
      refused(() -> legacy.capture(() -> {}), "cannot be captured");
    }
  }

  /**
   * Calls without a wait between them, of plans whose workspaces differ in size; once more while
   * another stream is captured, when freeing a workspace does not wait for the device.
   */
  @Test
  void plansShareAStreamsWorkspace() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream captured = cuda.stream();
        Layer small = new Layer(cuda, 1, List.of(Pattern.full()));
        Layer large =
            new Layer(cuda, 2, List.of(Pattern.multiDiagonal(3), Pattern.multiDiagonal(9)));
        Layer other = new Layer(cuda, 3, List.of(Pattern.verticalStripe(Order.TOKEN_MAJOR, 0)))) {
      for (boolean capturing : new boolean[] {false, true}) {
        try (CudaStream stream = cuda.stream()) {
          Runnable calls =
              () -> {
                for (Layer layer : List.of(small, large, other, large, small, other)) {
                  layer.plan.run(layer.q, layer.k, layer.v, layer.out, stream);
                }
              };
          if (capturing) {
            captured.capture(calls).close();
          } else {
            calls.run();
          }
          for (Layer layer : List.of(small, large, other)) {
            assertArrayEquals(layer.expected(cpu), layer.result(cuda), 0.02f);
          }
        }
      }
    }
  }

  /** Counts given as an array are the call's own, however soon the next call comes. */
  @Test
  void textValidMayChangeFromCallToCall() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        Layer layer = new Layer(cuda, 4);
        Tensor second = cuda.allocate(ElementType.BF16, layer.q.shape());
        Tensor third = cuda.allocate(ElementType.BF16, layer.q.shape())) {
      AttentionCall call = layer.plan.call();
      call.textValid(10).run(layer.q, layer.k, layer.v, layer.out, stream);
      call.textValid(3).run(layer.q, layer.k, layer.v, second, stream);
      call.textValid(0).run(layer.q, layer.k, layer.v, third, stream);
      assertArrayEquals(layer.expected(cpu, 10), Layer.result(cuda, layer.out), 0.02f);
      assertArrayEquals(layer.expected(cpu, 3), Layer.result(cuda, second), 0.02f);
      assertArrayEquals(layer.expected(cpu, 0), Layer.result(cuda, third), 0.02f);
    }
  }

  /** Copies in, attention, copies out, with one wait at the end. */
  @Test
  void aStreamCopiesBehindTheHostsBack() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        Layer layer = new Layer(cuda, 5);
        Tensor device = cuda.allocate(ElementType.BF16, layer.q.shape());
        Tensor in = cuda.allocatePinned(ElementType.BF16, layer.q.shape());
        Tensor out = cuda.allocatePinned(ElementType.BF16, layer.q.shape());
        CudaEvent done = cuda.event()) {
      in.copyFrom(layer.values);
      stream.copy(in, device);
      layer.plan.run(device, device, device, layer.out, stream);
      stream.copy(layer.out, out);
      done.record(stream);
      done.synchronize();
      assertTrue(done.done());
      assertArrayEquals(layer.expected(cpu), out.toFloats(), 0.02f);
    }
  }

  /** One stream makes what the other reads. */
  @Test
  void anEventOrdersTwoStreams() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream first = cuda.stream();
        CudaStream second = cuda.stream();
        CudaEvent begin = cuda.event();
        CudaEvent made = cuda.event();
        Layer even = new Layer(cuda, 6);
        Layer odd = new Layer(cuda, 7);
        Tensor middle = cuda.allocate(ElementType.BF16, even.q.shape())) {
      float[][] expected = {even.expected(cpu), odd.expected(cpu)};
      for (int round = 0; round < 8; round++) {
        Layer layer = round % 2 == 0 ? even : odd;
        begin.record(first);
        first.copy(layer.q, middle);
        made.record(first);
        second.waitFor(made);
        layer.plan.run(middle, middle, middle, layer.out, second);
        assertArrayEquals(expected[round % 2], layer.result(cuda), 0.02f);
        assertTrue(made.millisecondsSince(begin) > 0);
        first.waitFor(made);
      }
    }
  }

  /** Another library's stream, here one of our own behind its address. */
  @Test
  void aWrappedStreamIsUsedAndLeftAlone() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream theirs = cuda.stream();
        Layer layer = new Layer(cuda, 7)) {
      try (CudaStream ours = CudaStream.wrap(theirs.handle(), 0, theirs)) {
        assertEquals(theirs.handle(), ours.handle());
        layer.plan.run(layer.q, layer.k, layer.v, layer.out, ours);
      }
      assertArrayEquals(layer.expected(cpu), layer.result(cuda), 0.02f);
      theirs.synchronize();
    }
  }

  @Test
  void misuseIsRefusedByName() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        Tensor pageable = cpu.allocate(ElementType.BF16, 8);
        Tensor pinned = cuda.allocatePinned(ElementType.BF16, 8);
        Tensor device = cuda.allocate(ElementType.BF16, 8);
        Tensor other = cuda.allocate(ElementType.BF16, 9);
        AttentionPlan onCpu =
            cpu.plan(Sequence.video(1, 2, 4), ElementType.BF16, 8, 16, List.of(Pattern.full()));
        Tensor host = cpu.allocate(ElementType.BF16, 1, 1, 8, 8);
        Tensor hostOut = cpu.allocate(ElementType.BF16, 1, 1, 8, 8)) {
      refused(() -> stream.copy(pageable, device), "not pinned");
      refused(() -> stream.copy(pinned, pinned), "both tensors");
      refused(() -> stream.copy(device, other), "must agree");
      refused(() -> onCpu.run(host, host, host, hostOut, stream), "on the CPU");
      refused(() -> onCpu.run(host, host, host, hostOut, (CudaStream) null), "null");
      refused(() -> CudaStream.wrap(64, -1, null), "-1");
      try (Layer layer = new Layer(cuda, 3)) {
        UnsupportedException queued =
            assertThrows(
                UnsupportedException.class,
                () ->
                    layer.plan.run(layer.q, layer.k, layer.v, layer.out, null, new Cancellation()));
        assertTrue(queued.getMessage().contains("cancellation"), queued.getMessage());
      }
      assertThrows(BackendUnavailableException.class, () -> CudaStream.wrap(64, 100, null));
      assertThrows(UnsupportedException.class, cpu::stream);
      assertThrows(UnsupportedException.class, cpu::event);
      CudaEvent event = cuda.event();
      assertTrue(event.done());
      event.close();
      event.close();
      assertThrows(IllegalStateException.class, () -> event.record(stream));
      stream.close();
      stream.close();
      assertThrows(IllegalStateException.class, stream::synchronize);
      assertFalse(pinned.segment().isReadOnly());
    }
  }

  private static void refused(Runnable call, String word) {
    Exception refused = assertThrows(IllegalArgumentException.class, call::run);
    assertTrue(refused.getMessage().contains(word), refused.getMessage());
  }

  /** No garbage on a stream either. */
  @Test
  void runAllocatesNothing() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    if (SimulatedDevice.present()) {
      SimulatedDevice.configure("idle=1"); // it would take a minute
    }
    try (Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        DeviceBuffer valid = cuda.buffer(4);
        Layer layer = new Layer(cuda, 8, List.of(Pattern.skip()))) {
      valid.copyFrom(5);
      AttentionCall call = layer.plan.call().textValid(valid).queryBlocks(0, 1);
      AttentionCall array = layer.plan.call().textValid(3).queryBlocks(0, 1);
      long id = Thread.currentThread().threadId();
      long least = Long.MAX_VALUE;
      int calls = 2000;
      for (int round = 0; round < 8; round++) {
        stream.synchronize();
        long before = threads.getThreadAllocatedBytes(id);
        for (int i = 0; i < calls; i++) {
          call.run(layer.q, layer.k, layer.v, layer.out, stream);
          array.run(layer.q, layer.k, layer.v, layer.out);
        }
        least = Math.min(least, threads.getThreadAllocatedBytes(id) - before);
      }
      assertEquals(0, least / calls);
    } finally {
      if (SimulatedDevice.present()) {
        SimulatedDevice.configure("");
      }
    }
  }

  /** A small layer whose q, k and v are one tensor. */
  private static final class Layer implements AutoCloseable {
    final AttentionPlan plan;
    final List<Pattern> patterns;
    final float[] values;
    final Tensor q;
    final Tensor k;
    final Tensor v;
    final Tensor out;

    Layer(Backend cuda, int seed) {
      this(cuda, seed, PATTERNS);
    }

    Layer(Backend cuda, int seed, List<Pattern> patterns) {
      this.patterns = patterns;
      plan = cuda.plan(SEQUENCE, ElementType.BF16, 64, 64, patterns);
      long[] shape = {1, patterns.size(), SEQUENCE.tokens(), 64};
      q = cuda.allocate(ElementType.BF16, shape);
      k = q;
      v = q;
      out = cuda.allocate(ElementType.BF16, shape);
      values = new float[(int) q.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) Math.sin(0.61 * i + seed + i / 64 * 2.3);
      }
      try (Tensor host = cuda.allocatePinned(ElementType.BF16, shape)) {
        q.copyFrom(host.copyFrom(values).segment());
      }
    }

    float[] expected(Backend cpu) {
      return expected(cpu, SEQUENCE.text());
    }

    float[] expected(Backend cpu, int valid) {
      try (Tensor in = cpu.allocate(ElementType.BF16, q.shape());
          Tensor result = cpu.allocate(ElementType.BF16, q.shape());
          AttentionPlan same = cpu.plan(SEQUENCE, ElementType.BF16, 64, 64, patterns)) {
        in.copyFrom(values);
        same.call().textValid(valid).run(in, in, in, result);
        return result.toFloats();
      }
    }

    float[] result(Backend cuda) {
      return result(cuda, out);
    }

    static float[] result(Backend cuda, Tensor out) {
      try (Tensor host = cuda.allocatePinned(out.type(), out.shape())) {
        out.copyTo(host.segment());
        return host.toFloats();
      }
    }

    @Override
    public void close() {
      plan.close();
      q.close();
      out.close();
    }
  }
}
