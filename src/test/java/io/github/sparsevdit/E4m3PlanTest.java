package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.internal.Workspaces;
import io.github.sparsevdit.internal.Workspaces.Workspace;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
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
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Plans in E4M3 on the CPU: their tensors, and the workspaces that calls take. What they compute is
 * tested with the other types.
 */
@Timeout(value = 120, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class E4m3PlanTest {
  private static final Sequence SEQUENCE = Sequence.video(3, 7, 9).withText(11, false);
  private static final int DIM = 32;
  private static final List<Pattern> PATTERNS =
      List.of(Pattern.full(), Pattern.multiDiagonal(20), Pattern.verticalStripe(1));

  private static AttentionPlan plan(Backend backend) {
    return backend.plan(SEQUENCE, ElementType.E4M3, DIM, 32, PATTERNS);
  }

  private static Tensor random(Backend backend, int batch) {
    return random(backend.allocate(ElementType.BF16, shape(batch)));
  }

  private static Tensor random(Tensor tensor) {
    Random random = new Random(3);
    float[] values = new float[(int) tensor.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return tensor.copyFrom(values);
  }

  private static long[] shape(int batch) {
    return new long[] {batch, PATTERNS.size(), SEQUENCE.tokens(), DIM};
  }

  @Test
  void itsTensorsAreBf16() {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = plan(backend);
        Tensor right = random(backend, 1);
        Tensor out = backend.allocate(plan.tensorType(), shape(1));
        Tensor wrong = backend.allocate(ElementType.FP16, shape(1))) {
      assertEquals(ElementType.E4M3, plan.type());
      assertEquals(ElementType.BF16, plan.tensorType());
      plan.run(right, right, right, out);
      for (int at = 0; at < 4; at++) {
        Tensor[] tensors = {right, right, right, out};
        tensors[at] = wrong;
        Exception thrown =
            assertThrows(
                IllegalArgumentException.class,
                () -> plan.run(tensors[0], tensors[1], tensors[2], tensors[3]));
        assertTrue(thrown.getMessage().contains("expected BF16"), thrown.getMessage());
      }
    }
  }

  /** Values that e4m3 has exactly give the bits that BF16 gives. */
  @Test
  void whatNeedsNoRoundingIsBf16() {
    try (Backend backend = Backend.cpu();
        AttentionPlan eight = plan(backend);
        AttentionPlan plain = backend.plan(SEQUENCE, ElementType.BF16, DIM, 32, PATTERNS);
        Tensor q = random(backend, 2);
        Tensor out = backend.allocate(ElementType.BF16, shape(2));
        Tensor expected = backend.allocate(ElementType.BF16, shape(2))) {
      float[] values = q.toFloats();
      for (int i = 0; i < values.length; i++) {
        values[i] = i % 64 == 0 ? 1.75f : Math.round(4 * values[i]) / 4f % 2;
      }
      q.copyFrom(values);
      eight.run(q, q, q, out);
      plain.run(q, q, q, expected);
      assertArrayEquals(expected.toFloats(), out.toFloats());
    }
  }

  @Test
  void aSweepIsThatOfBf16() {
    try (Backend backend = Backend.cpu();
        AttentionPlan eight = plan(backend);
        AttentionPlan plain = backend.plan(SEQUENCE, ElementType.BF16, DIM, 32, PATTERNS);
        Tensor q = random(backend, 1)) {
      SweepRequest request =
          SweepRequest.byDistance(Order.FRAME_MAJOR, new int[] {0, 2}, 10, 40).withReference();
      SweepResult got = eight.sweep(request, q, q, q);
      SweepResult expected = plain.sweep(request, q, q, q);
      for (int head = 0; head < PATTERNS.size(); head++) {
        assertEquals(expected.error(0, head, 1, 0), got.error(0, head, 1, 0));
        assertArrayEquals(expected.reference(0, head, 1), got.reference(0, head, 1));
      }
    }
  }

  @Test
  void theCallersWorkspaceIsTheOneTaken() {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = plan(backend);
        Tensor q = random(backend, 2);
        Tensor out = backend.allocate(ElementType.BF16, shape(2));
        Tensor other = backend.allocate(ElementType.BF16, shape(2))) {
      long bytes = plan.workspaceBytes(2);
      assertTrue(bytes > plan.workspaceBytes(1) && plan.workspaceBytes(1) > 0);
      try (Tensor workspace = backend.allocate(ElementType.BF16, bytes / 2 + 1);
          Tensor small = backend.allocate(ElementType.BF16, bytes / 4)) {
        workspace.copyFrom(new float[(int) workspace.elements()]);
        long used = backend.info().memoryUsedBytes();
        plan.call().workspace(workspace).run(q, q, q, out);
        assertEquals(used, backend.info().memoryUsedBytes());
        assertTrue(
            IntStream.range(0, (int) workspace.elements())
                .anyMatch(i -> workspace.segment().get(ValueLayout.JAVA_SHORT, 2L * i) != 0));
        plan.run(q, q, q, other);
        assertEquals(used + bytes, backend.info().memoryUsedBytes(), 256);
        assertArrayEquals(other.toFloats(), out.toFloats());
        Exception thrown =
            assertThrows(
                IllegalArgumentException.class,
                () -> plan.call().workspace(small).run(q, q, q, out));
        assertTrue(thrown.getMessage().contains("expected " + bytes), thrown.getMessage());
      }
    }
  }

  /** Plans share workspaces, which go with the last of them. */
  @Test
  void workspacesGoWithTheLastPlan() {
    try (Backend backend = Backend.cpu();
        Tensor q = random(backend, 2);
        Tensor out = backend.allocate(ElementType.BF16, shape(2))) {
      long before = backend.info().memoryUsedBytes();
      AttentionPlan first = plan(backend);
      AttentionPlan second = plan(backend);
      first.run(q, q, q, out);
      long used = backend.info().memoryUsedBytes();
      assertTrue(used >= before + first.workspaceBytes(2));
      second.run(q, q, q, out);
      second.run(q.slice(0, 0, 1), q.slice(0, 0, 1), q.slice(0, 0, 1), out.slice(0, 0, 1));
      assertEquals(used, backend.info().memoryUsedBytes());
      first.close();
      second.run(q, q, q, out);
      second.close();
      assertEquals(before, backend.info().memoryUsedBytes());
      try (AttentionPlan third = plan(backend)) {
        third.run(q, q, q, out);
        assertEquals(used, backend.info().memoryUsedBytes());
      }
      assertEquals(before, backend.info().memoryUsedBytes());
    }
  }

  /** Every running call has a workspace of its own: none changes another's result. */
  @Test
  void manyThreadsManyPlans() throws Exception {
    int threads = 8;
    try (Backend backend = Backend.cpu();
        Tensor q = random(backend, 2);
        AttentionPlan shared = plan(backend)) {
      long before = backend.info().memoryUsedBytes();
      Tensor expected = backend.allocate(ElementType.BF16, shape(2));
      shared.run(q, q, q, expected);
      float[] right = expected.toFloats();
      expected.close();
      CountDownLatch begin = new CountDownLatch(threads);
      List<Callable<Void>> work = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        int batch = 1 + thread % 2;
        work.add(
            () -> {
              try (Tensor out = backend.allocate(ElementType.BF16, shape(batch));
                  AttentionPlan own = plan(backend)) {
                Tensor mine = q.slice(0, 0, batch);
                begin.countDown();
                begin.await();
                for (int i = 0; i < 200; i++) {
                  (i % 2 == 0 ? own : shared).run(mine, mine, mine, out);
                  float[] got = out.toFloats();
                  assertArrayEquals(Arrays.copyOf(right, got.length), got);
                }
              }
              return null;
            });
      }
      try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
        for (Future<Void> done : pool.invokeAll(work)) {
          done.get();
        }
      }
      long most = threads * (shared.workspaceBytes(2) + 256);
      assertTrue(backend.info().memoryUsedBytes() <= before + most);
    }
  }

  @Test
  void closingThePlanWaitsForItsCallsAndTheirWorkspaces() throws Exception {
    try (Backend backend = Backend.cpu();
        Tensor q = random(backend, 2)) {
      for (int round = 0; round < 20; round++) {
        AttentionPlan plan = plan(backend);
        CountDownLatch running = new CountDownLatch(3);
        try (ExecutorService pool = Executors.newFixedThreadPool(3)) {
          List<Future<String>> ends = new ArrayList<>();
          for (int thread = 0; thread < 3; thread++) {
            ends.add(
                pool.submit(
                    () -> {
                      try (Tensor out = backend.allocate(ElementType.BF16, shape(2))) {
                        while (true) {
                          plan.run(q, q, q, out);
                          running.countDown();
                        }
                      } catch (IllegalStateException closed) {
                        return closed.getMessage();
                      }
                    }));
          }
          running.await();
          plan.close();
          for (Future<String> end : ends) {
            assertEquals("the plan is closed", end.get());
          }
        }
        assertEquals(q.spanBytes(), backend.info().memoryUsedBytes(), 256);
      }
    }
  }

  @Test
  void aWorkspaceThatNoMachineHasIsRefusedAndTheNextIsThere() {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = plan(backend);
        Tensor q = random(backend, 1);
        Tensor out = backend.allocate(ElementType.BF16, shape(1))) {
      plan.run(q, q, q, out);
      float[] expected = out.toFloats();
      Workspaces workspaces = backend.handle().workspaces();
      Exception thrown =
          assertThrows(OutOfNativeMemoryException.class, () -> workspaces.take(1L << 50));
      assertTrue(thrown.getMessage().contains(Long.toString(1L << 50)), thrown.getMessage());
      plan.run(q, q, q, out);
      assertArrayEquals(expected, out.toFloats());
      Workspace one = workspaces.take(100);
      Workspace two = workspaces.take(100);
      assertTrue(one.address() != two.address() && one.address() % 256 == 0);
      one.release();
      two.release();
    }
  }
}
