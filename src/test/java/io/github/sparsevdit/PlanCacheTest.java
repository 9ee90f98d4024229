package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Plans that outlive their SparseAttention, and policies that are replaced. */
class PlanCacheTest {
  private static final ModelShape MODEL = new ModelShape("m", 2, 2, 16);
  private static final Schedule SCHEDULE = new Schedule(List.of(900.0, 500.0, 100.0));
  private static final Sequence SMALL = Sequence.video(2, 8, 8);
  private static final Sequence LARGE = Sequence.video(4, 16, 16);

  /** The first layer's heads full, the second layer's of one mode. */
  private static Policy policy(Pattern second) {
    return new Policy() {
      @Override
      public ModelShape model() {
        return MODEL;
      }

      @Override
      public int block() {
        return 64;
      }

      @Override
      public List<Pattern> patterns(double timestep, int layer) {
        Pattern pattern = layer == 0 ? Pattern.full() : second;
        return List.of(pattern, pattern);
      }
    };
  }

  private static void open(Backend backend, Policy policy, Sequence sequence) {
    SparseAttention.of(backend, policy, sequence, SCHEDULE).close();
  }

  @TempDir Path folder;

  @Test
  void goingBackToAnEarlierResolutionCompilesNothing() throws Exception {
    Policy policy = policy(Pattern.diagonal(0));
    Path file = folder.resolve("plans.jfr");
    try (Backend backend = Backend.cpu();
        Recording recording = new Recording()) {
      recording.enable("svdit.Plan");
      recording.start();
      open(backend, policy, SMALL);
      assertEquals(2, backend.metrics().plansCompiled());
      open(backend, policy, LARGE);
      assertEquals(4, backend.metrics().plansCompiled());
      assertEquals(4, backend.metrics().plansCached());
      for (int i = 0; i < 3; i++) {
        open(backend, policy, SMALL);
        open(backend, policy, LARGE);
      }
      assertEquals(4, backend.metrics().plansCompiled());
      assertEquals(12, backend.metrics().plansReused());
      // Another type, and another pattern, are other plans.
      SparseAttention.of(backend, policy, SMALL, SCHEDULE, ElementType.FP32).close();
      assertEquals(6, backend.metrics().plansCompiled());
      open(backend, policy(Pattern.diagonal(64)), SMALL);
      assertEquals(7, backend.metrics().plansCompiled());
      recording.stop();
      recording.dump(file);
    }
    assertEquals(7, RecordingFile.readAllEvents(file).size());
  }

  @Test
  void openAttentionsShareAPlan() {
    Policy policy = policy(Pattern.diagonal(0));
    try (Backend backend = Backend.cpu();
        SparseAttention one = SparseAttention.of(backend, policy, SMALL, SCHEDULE)) {
      SparseAttention two = SparseAttention.of(backend, policy, SMALL, SCHEDULE);
      assertEquals(2, backend.metrics().plansCompiled());
      AttentionPlan closed = two.plan(0, 0);
      two.close();
      assertThrows(IllegalStateException.class, closed::density);
      assertEquals(0, backend.metrics().plansCached());
      assertEquals(1, one.plan(0, 0).density()[0]);
    }
  }

  @Test
  void whatIsCachedIsBounded() {
    Policy policy = Policy.dense(MODEL, 64);
    try (Backend backend = Backend.cpu()) {
      open(backend, policy, SMALL);
      long small = backend.metrics().planCacheBytes();
      assertTrue(small > 0, small + " bytes");
      open(backend, policy, LARGE);
      final long both = backend.metrics().planCacheBytes();
      assertTrue(both > 2 * small, both + " bytes");
      open(backend, policy, SMALL); // now LARGE is the one released longest ago
      backend.planCacheBytes(both - 1);
      assertEquals(1, backend.metrics().plansCached());
      assertEquals(small, backend.metrics().planCacheBytes());
      open(backend, policy, SMALL);
      assertEquals(2, backend.metrics().plansCompiled());
      open(backend, policy, LARGE);
      assertEquals(3, backend.metrics().plansCompiled());
      assertEquals(1, backend.metrics().plansCached());
      backend.planCacheBytes(0);
      assertEquals(0, backend.metrics().plansCached());
      assertEquals(0, backend.metrics().planCacheBytes());
      open(backend, policy, SMALL);
      assertEquals(4, backend.metrics().plansCompiled());
      assertEquals(0, backend.metrics().plansCached());
      assertThrows(IllegalArgumentException.class, () -> backend.planCacheBytes(-1));
    }
  }

  @Test
  void aPlanReleasedAfterItsBackendIsFreed() {
    Backend backend = Backend.cpu();
    SparseAttention attention =
        SparseAttention.of(backend, Policy.dense(MODEL, 64), SMALL, SCHEDULE);
    open(backend, Policy.dense(MODEL, 64), LARGE);
    backend.close();
    assertEquals(1, attention.density());
    assertEquals(0, backend.handle().plans().idle());
    attention.close();
    assertEquals(0, backend.handle().plans().idle());
    assertThrows(
        IllegalStateException.class,
        () -> SparseAttention.of(backend, Policy.dense(MODEL, 64), SMALL, SCHEDULE));
  }

  @Test
  void swappingReusesEqualPlansAndRefusesOtherModels() {
    try (Backend backend = Backend.cpu();
        SparseAttention attention =
            SparseAttention.of(backend, policy(Pattern.diagonal(0)), SMALL, SCHEDULE)) {
      AttentionPlan before = attention.plan(0, 1);
      attention.swap(policy(Pattern.skip()));
      assertEquals(3, backend.metrics().plansCompiled()); // layer 0's is the old one
      assertEquals(0.5, attention.density());
      assertThrows(IllegalStateException.class, before::density);
      assertEquals(1, backend.metrics().plansCached());
      Policy other = Policy.dense(new ModelShape("n", 2, 3, 16), 64);
      assertThrows(IllegalArgumentException.class, () -> attention.swap(other));
      assertEquals(0.5, attention.density());
      SparseAttention.Session session = attention.session();
      AttentionPlan pinned = session.plan(0, 1);
      attention.swap(policy(Pattern.diagonal(0)));
      assertEquals(3, backend.metrics().plansCompiled());
      assertEquals(0, pinned.density()[0]);
      session.close();
      session.close();
      assertThrows(IllegalStateException.class, pinned::density);
      assertThrows(IllegalStateException.class, () -> session.plan(0, 1));
      final SparseAttention.Session open = attention.session();
      attention.swap(policy(Pattern.skip()));
      attention.close();
      assertThrows(IllegalStateException.class, () -> open.plan(0, 1).density());
      assertThrows(IllegalStateException.class, () -> attention.swap(policy(Pattern.diagonal(0))));
      open.close();
    }
  }

  /** Runs by session see one policy from begin to end, single calls one of the two. */
  @Test
  void runsEndWithThePolicyTheyBeganWith() throws Exception {
    Policy[] policies = {policy(Pattern.diagonal(0)), policy(Pattern.full())};
    Random random = new Random(4);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try (Backend backend = Backend.cpu();
        Tensor in = backend.allocate(ElementType.FP32, 1, 2, SMALL.tokens(), 16);
        SparseAttention attention =
            SparseAttention.of(backend, policies[0], SMALL, SCHEDULE, ElementType.FP32)) {
      float[] values = new float[(int) in.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      in.copyFrom(values);
      float[][] expected = new float[2][];
      try (Tensor out = backend.allocate(ElementType.FP32, 1, 2, SMALL.tokens(), 16)) {
        for (int i = 0; i < 2; i++) {
          attention.swap(policies[i]);
          attention.run(0, 1, in, in, in, out);
          expected[i] = out.toFloats();
        }
      }
      assertTrue(!Arrays.equals(expected[0], expected[1]));
      AtomicBoolean over = new AtomicBoolean();
      AtomicInteger changed = new AtomicInteger(); // between a session's begin and its end
      List<Future<?>> runs = new ArrayList<>();
      for (int thread = 0; thread < 4; thread++) {
        runs.add(
            threads.submit(
                () -> {
                  try (Tensor out = backend.allocate(ElementType.FP32, 1, 2, SMALL.tokens(), 16)) {
                    while (!over.get()) {
                      float[] first = null;
                      try (SparseAttention.Session session = attention.session()) {
                        AttentionPlan began = attention.plan(0, 1);
                        for (int step = 0; step < SCHEDULE.steps(); step++) {
                          session.plan(step, 1).run(in, in, in, out);
                          first = first == null ? out.toFloats() : first;
                          assertArrayEquals(first, out.toFloats());
                        }
                        if (attention.plan(0, 1) != began) {
                          changed.incrementAndGet();
                        }
                      }
                      assertTrue(
                          Arrays.equals(first, expected[0]) || Arrays.equals(first, expected[1]));
                      attention.run(2, 1, in, in, in, out);
                      float[] single = out.toFloats();
                      assertTrue(
                          Arrays.equals(single, expected[0]) || Arrays.equals(single, expected[1]));
                    }
                  }
                  return null;
                }));
      }
      int swaps = 0;
      while (swaps < 200 || changed.get() < 5 && swaps < 100_000) {
        attention.swap(policies[swaps++ % 2]);
      }
      over.set(true);
      for (Future<?> run : runs) {
        run.get();
      }
      assertTrue(changed.get() >= 5, "no policy changed during a run");
      assertEquals(2, backend.metrics().plansCompiled()); // both policies' plans, once each
    } finally {
      threads.shutdownNow();
    }
  }
}
