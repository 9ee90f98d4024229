package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Handles may be closed at any moment, twice, and used from any thread. */
@Timeout(value = 120, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LifetimeTest {
  private static final ElementType TYPE = ElementType.FP32;
  private static final Sequence SMALL = Sequence.video(2, 4, 6);
  private static final Sequence LONG = Sequence.video(8, 16, 32); // a call of many milliseconds
  private static final int DIM = 64;

  /** Tensors of one call. */
  private record Call(AttentionPlan plan, Tensor q, Tensor k, Tensor v, Tensor out)
      implements AutoCloseable {
    static Call of(Backend backend, Sequence sequence) {
      AttentionPlan plan =
          backend.plan(sequence, TYPE, DIM, 64, List.of(Pattern.full(), Pattern.full()));
      Tensor[] tensors = new Tensor[4];
      Random random = new Random(1);
      for (int i = 0; i < 4; i++) {
        tensors[i] = backend.allocate(TYPE, 1, 2, sequence.tokens(), DIM);
        float[] values = new float[(int) tensors[i].elements()];
        for (int j = 0; j < values.length; j++) {
          values[j] = random.nextFloat() - 0.5f;
        }
        tensors[i].copyFrom(values);
      }
      return new Call(plan, tensors[0], tensors[1], tensors[2], tensors[3]);
    }

    void run() {
      plan.run(q, k, v, out);
    }

    @Override
    public void close() {
      plan.close();
      List.of(q, k, v, out).forEach(Tensor::close);
    }
  }

  @Test
  void closingTwiceIsClosingOnce() {
    Backend backend = Backend.cpu();
    Call call = Call.of(backend, SMALL);
    call.run();
    for (int i = 0; i < 2; i++) {
      call.close();
      backend.close();
    }
  }

  @Test
  void closedHandlesRefuseCalls() {
    Backend backend = Backend.cpu();
    Call call = Call.of(backend, SMALL);
    call.plan().close();
    assertEquals(
        "the plan is closed", assertThrows(IllegalStateException.class, call::run).getMessage());
    assertThrows(IllegalStateException.class, () -> call.plan().density());
    assertThrows(IllegalStateException.class, () -> call.plan().groups());
    call.close();
    backend.close();
    IllegalStateException thrown =
        assertThrows(IllegalStateException.class, () -> backend.allocate(TYPE, 1));
    assertEquals("the backend is closed", thrown.getMessage());
    assertThrows(
        IllegalStateException.class,
        () -> backend.plan(SMALL, TYPE, DIM, 64, List.of(Pattern.full())));
    assertThrows(IllegalStateException.class, backend::info);
  }

  @Test
  void aBackendServesItsPlansUntilTheLastIsClosed() {
    Backend backend = Backend.cpu();
    try (Call call = Call.of(backend, SMALL)) {
      call.run();
      float[] before = call.out().toFloats();
      backend.close();
      call.run();
      assertArrayEquals(before, call.out().toFloats());
    }
  }

  @Test
  void closingAPlanWaitsForItsCalls() throws Exception {
    closingWaits(call -> call.plan().close());
  }

  @Test
  void closingATensorWaitsForItsCalls() throws Exception {
    closingWaits(call -> call.k().close());
  }

  /**
   * Closes something in the midst of a call: at the moment close() returns the call has written all
   * of its output, and the caller is not far behind.
   */
  private static void closingWaits(Consumer<Call> closing) throws Exception {
    try (Backend backend = Backend.cpu()) {
      int inTheMidst = 0;
      for (int round = 0; round < 3 || (inTheMidst == 0 && round < 100); round++) {
        try (Call call = Call.of(backend, LONG)) {
          float[] unwritten = new float[(int) call.out().elements()];
          Arrays.fill(unwritten, Float.NaN);
          call.out().copyFrom(unwritten);
          AtomicLong returned = new AtomicLong();
          Thread caller =
              new Thread(
                  () -> {
                    call.run();
                    returned.set(System.nanoTime());
                  });
          caller.start();
          long rows = unwritten.length / DIM;
          while (rowsUnwritten(call.out()) == rows) {
            Thread.onSpinWait();
          }
          long before = rowsUnwritten(call.out());
          closing.accept(call);
          long closed = System.nanoTime();
          long after = rowsUnwritten(call.out());
          assertEquals(0, after, "close() returned while the call ran");
          inTheMidst += before > 0 ? 1 : 0;
          caller.join();
          long late = TimeUnit.NANOSECONDS.toMillis(closed - returned.get());
          assertTrue(late < 1000, "close() returned " + late + " ms after the call");
          assertThrows(IllegalStateException.class, call::run);
        }
      }
      assertTrue(inTheMidst > 0, "no call was met while it ran");
    }
  }

  private static long rowsUnwritten(Tensor out) {
    MemorySegment elements = out.segment();
    return LongStream.range(0, out.elements() / DIM)
        .filter(row -> Float.isNaN(elements.getAtIndex(ValueLayout.JAVA_FLOAT, row * DIM)))
        .count();
  }

  /**
   * An arena of the caller's cannot be closed under a running call: Java refuses, the call goes on.
   */
  @Test
  void aForeignArenaCannotBeClosedUnderACall() throws Exception {
    try (Backend backend = Backend.cpu();
        Call call = Call.of(backend, LONG)) {
      call.run();
      float[] expected = call.out().toFloats();
      Arena arena = Arena.ofShared();
      Tensor q = Tensor.of(arena.allocate(call.q().elements() * 4, 64), TYPE, call.q().shape());
      q.copyFrom(call.q());
      CountDownLatch started = new CountDownLatch(1);
      Thread caller =
          new Thread(
              () -> {
                started.countDown();
                call.plan().run(q, call.k(), call.v(), call.out());
              });
      caller.start();
      started.await();
      int refused = 0;
      while (arena.scope().isAlive()) {
        try {
          if (caller.isAlive() && refused == 0) {
            Thread.sleep(1);
          }
          arena.close();
        } catch (IllegalStateException inUse) {
          refused++;
          Thread.sleep(1);
        }
      }
      caller.join();
      assertTrue(refused > 0, "the arena was closed at once");
      assertArrayEquals(expected, call.out().toFloats());
    }
  }

  @Test
  void sixteenPlatformThreadsAtOnce() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(16)) {
      callsAtOnce(threads, 16, 50);
    }
  }

  @Test
  void aThousandVirtualThreadsAtOnce() throws Exception {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      callsAtOnce(threads, 1000, 3);
    }
  }

  /** All use one plan and the same inputs, each its own output. */
  private static void callsAtOnce(ExecutorService threads, int tasks, int calls) throws Exception {
    try (Backend backend = Backend.cpu();
        Call call = Call.of(backend, SMALL)) {
      call.run();
      float[] expected = call.out().toFloats();
      CountDownLatch start = new CountDownLatch(1);
      List<Future<float[]>> results = new ArrayList<>();
      for (int task = 0; task < tasks; task++) {
        int valid = task;
        Callable<float[]> work =
            () -> {
              start.await();
              try (Tensor out = backend.allocate(TYPE, call.out().shape())) {
                AttentionCall own = call.plan().call();
                for (int i = 0; i < calls; i++) {
                  if (valid % 2 == 0) {
                    call.plan().run(call.q(), call.k(), call.v(), out);
                  } else {
                    own.run(call.q(), call.k(), call.v(), out);
                  }
                }
                return out.toFloats();
              }
            };
        results.add(threads.submit(work));
      }
      start.countDown();
      for (Future<float[]> result : results) {
        assertArrayEquals(expected, result.get());
      }
    }
  }

  @Test
  void aPlanClosedInTheMidstOfManyCallersIsFreedOnce() throws Exception {
    try (Backend backend = Backend.cpu();
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int round = 0; round < 20; round++) {
        Call call = Call.of(backend, SMALL);
        List<Future<?>> callers = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
          callers.add(
              threads.submit(
                  () -> {
                    try (Tensor out = backend.allocate(TYPE, call.out().shape())) {
                      for (int n = 0; n < 20; n++) {
                        call.plan().run(call.q(), call.k(), call.v(), out);
                      }
                    } catch (IllegalStateException closed) {
                      assertEquals("the plan is closed", closed.getMessage());
                    }
                  }));
        }
        List<Future<?>> closers = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
          closers.add(threads.submit(call.plan()::close));
        }
        for (Future<?> one : callers) {
          one.get();
        }
        for (Future<?> one : closers) {
          one.get();
        }
        call.close();
      }
    }
  }
}
