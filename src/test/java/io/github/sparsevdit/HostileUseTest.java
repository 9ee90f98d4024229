package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.CpuOptions.Tier;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What nobody should do, and what must not end the JVM all the same. */
@Timeout(value = 120, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostileUseTest {
  private static final ElementType TYPE = ElementType.FP32;
  private static final Sequence SEQUENCE = Sequence.video(3, 4, 6).withText(5, true);
  private static final int DIM = 16;
  private static final int BLOCK = 16;

  private static Tensor random(Backend backend, long... shape) {
    return random(backend.allocate(TYPE, shape));
  }

  private static Tensor random(Tensor tensor) {
    Random random = new Random(7);
    float[] values = new float[(int) tensor.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    return tensor.copyFrom(values);
  }

  private static float[] attention(Backend backend, Sequence sequence, Pattern pattern) {
    try (AttentionPlan plan = backend.plan(sequence, TYPE, DIM, BLOCK, List.of(pattern));
        Tensor q = random(backend, 1, 1, sequence.tokens(), DIM);
        Tensor out = backend.allocate(TYPE, q.shape())) {
      plan.run(q, q, q, out);
      return out.toFloats();
    }
  }

  @Test
  void parametersBeyondEverySequenceMeanAllOfIt() {
    try (Backend backend = Backend.cpu()) {
      float[] all = attention(backend, SEQUENCE, Pattern.full());
      assertArrayEquals(all, attention(backend, SEQUENCE, Pattern.diagonal(Long.MAX_VALUE)), 1e-6f);
      assertArrayEquals(
          all, attention(backend, SEQUENCE, Pattern.multiDiagonal(Long.MAX_VALUE)), 1e-6f);
      int most = Integer.MAX_VALUE;
      assertArrayEquals(
          attention(backend, SEQUENCE, Pattern.verticalStripe(1, 3)),
          attention(
              backend, SEQUENCE, Pattern.verticalStripe(Order.tileMajor(most, most, most), 1, 3)),
          1e-6f);
    }
  }

  @Test
  void sizesThatNoMachineHasAreRefused() {
    try (Backend backend = Backend.cpu()) {
      assertThrows(OutOfNativeMemoryException.class, () -> backend.allocate(TYPE, 1L << 50));
      List<Pattern> full = List.of(Pattern.full());
      for (int headDim : new int[] {Integer.MIN_VALUE, -8, 0, 1, 264, Integer.MAX_VALUE}) {
        assertThrows(
            RuntimeException.class, () -> backend.plan(SEQUENCE, TYPE, headDim, BLOCK, full));
      }
      for (int block : new int[] {Integer.MIN_VALUE, -16, 0, 1, 256, Integer.MAX_VALUE}) {
        assertThrows(
            IllegalArgumentException.class, () -> backend.plan(SEQUENCE, TYPE, DIM, block, full));
      }
      assertThrows(
          IllegalArgumentException.class,
          () -> Backend.cpu(new CpuOptions(Integer.MAX_VALUE, Tier.AUTO)));
      Policy endless = Policy.dense(new ModelShape("m", Integer.MAX_VALUE, 1, DIM), BLOCK);
      Schedule steps = new Schedule(List.of(900.0, 100.0));
      assertThrows(
          IllegalArgumentException.class,
          () -> SparseAttention.of(backend, endless, SEQUENCE, steps, TYPE));
    }
  }

  @Test
  void placesOutsideAPlanAreRefused() {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan =
            backend.plan(SEQUENCE, TYPE, DIM, BLOCK, List.of(Pattern.multiDiagonal(20)))) {
      for (int wrong : new int[] {Integer.MIN_VALUE, -1, 1, Integer.MAX_VALUE}) {
        assertThrows(IllegalArgumentException.class, () -> plan.runs(wrong, 0, -1));
      }
      for (int wrong : new int[] {Integer.MIN_VALUE, -1, plan.queryBlocks(), Integer.MAX_VALUE}) {
        assertThrows(IllegalArgumentException.class, () -> plan.runs(0, wrong, -1));
      }
      for (int wrong : new int[] {Integer.MIN_VALUE, -2, 6, Integer.MAX_VALUE}) {
        assertThrows(IllegalArgumentException.class, () -> plan.runs(0, 0, wrong));
        assertThrows(IllegalArgumentException.class, () -> plan.density(wrong));
      }
      for (int wrong : new int[] {Integer.MIN_VALUE, -1, 0}) {
        assertThrows(IllegalArgumentException.class, () -> plan.workspaceBytes(wrong));
      }
    }
  }

  @Test
  void tensorsOfNothing() {
    Tensor none = Tensor.of(MemorySegment.NULL, TYPE, 0);
    assertEquals(0, none.toFloats().length);
    Tensor wide = Tensor.of(MemorySegment.NULL, TYPE, 1L << 40, 0);
    assertEquals(0, wide.toFloats().length);
    wide.copyFrom(wide).copyFrom(new float[0]).copyTo(MemorySegment.NULL);
    Tensor turned = wide.transpose(0, 1).slice(1, 1L << 39, 1L << 40);
    assertEquals(0, turned.toFloats().length);
    assertThrows(IllegalArgumentException.class, () -> turned.select(0, 0));
    assertThrows(IllegalArgumentException.class, () -> turned.select(1, Long.MAX_VALUE));
    assertThrows(IllegalArgumentException.class, () -> turned.slice(1, -1, 1));
    assertThrows(IllegalArgumentException.class, () -> turned.slice(2, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> turned.transpose(-1, 0));
    assertThrows(IllegalArgumentException.class, () -> wide.view(1L << 62, 4));
  }

  static List<Tier> tiers() {
    return TestBackends.tiers();
  }

  /** One value of one token, in Q, K or V, that is no number: what sees it, and what does not. */
  @ParameterizedTest
  @MethodSource("tiers")
  void valuesThatAreNoNumbersStayWhereTheyAreSeen(Tier tier) {
    Sequence sequence = Sequence.video(1, 1, 6 * BLOCK);
    int bad = 2 * BLOCK + 5; // in the third block, which alone sees itself
    try (Backend backend = Backend.cpu(new CpuOptions(0, tier))) {
      for (ElementType type : List.of(ElementType.BF16, ElementType.FP16, ElementType.FP32)) {
        try (AttentionPlan plan =
                backend.plan(sequence, type, DIM, BLOCK, List.of(Pattern.diagonal(0)));
            Tensor clean = backend.allocate(type, 1, 1, sequence.tokens(), DIM);
            Tensor odd = backend.allocate(type, clean.shape());
            Tensor out = backend.allocate(type, clean.shape())) {
          random(clean);
          float[] values = clean.toFloats();
          plan.run(clean, clean, clean, out);
          float[] expected = out.toFloats();
          for (float value :
              new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            values[bad * DIM + 1] = value;
            odd.copyFrom(values);
            String name = type + " " + value;

            plan.run(odd, clean, clean, out);
            // A query's infinity makes scores of both signs infinite, and a row with inf NaN.
            requireNaN(
                type, out.toFloats(), expected, name + " in q", row -> row == bad, one -> true);

            plan.run(clean, clean, odd, out);
            if (Float.isNaN(value)) {
              requireNaN(
                  type,
                  out.toFloats(),
                  expected,
                  "NaN in v",
                  row -> row / BLOCK == 2,
                  one -> one == 1);
            } else {
              float[] got = out.toFloats();
              for (int i = 0; i < got.length; i++) {
                boolean seen = i / DIM / BLOCK == 2 && i % DIM == 1;
                assertEquals(seen ? value : expected[i], got[i], near(type), name + " in v");
              }
            }

            plan.run(clean, odd, clean, out);
            float[] queries = clean.toFloats();
            // +inf is the score of half the queries, and their softmax NaN; -inf is a weight of 0.
            IntPredicate nan =
                row ->
                    row / BLOCK == 2
                        && !(queries[row * DIM + 1] * value < 0); // also where it is NaN
            float[] got = out.toFloats();
            for (int row = 0; row < sequence.tokens(); row++) {
              boolean others = row / BLOCK != 2;
              for (int i = row * DIM; i < (row + 1) * DIM; i++) {
                if (nan.test(row)) {
                  assertTrue(Float.isNaN(got[i]), name + " in k: row " + row + " is " + got[i]);
                } else if (others) {
                  assertEquals(expected[i], got[i], near(type), name + " in k");
                } else {
                  assertTrue(Float.isFinite(got[i]), name + " in k: row " + row + " is " + got[i]);
                }
              }
            }
          }
        }
      }
    }
  }

  private static void requireNaN(
      ElementType type,
      float[] got,
      float[] expected,
      String what,
      IntPredicate rows,
      IntPredicate columns) {
    for (int i = 0; i < got.length; i++) {
      if (rows.test(i / DIM) && columns.test(i % DIM)) {
        assertTrue(Float.isNaN(got[i]), what + ": row " + i / DIM + " is " + got[i]);
      } else {
        assertEquals(expected[i], got[i], near(type), what);
      }
    }
  }

  /** Rows of a group take new maxima together, so others' sums may be rounded elsewhere. */
  private static float near(ElementType type) {
    return type == ElementType.FP32 ? 1e-5f : 1e-2f;
  }

  @Test
  void aTensorOfAnotherBackendServesUntilItIsClosed() {
    Backend other = Backend.cpu();
    Tensor q = random(other, 1, 1, SEQUENCE.tokens(), DIM);
    other.close();
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = backend.plan(SEQUENCE, TYPE, DIM, BLOCK, List.of(Pattern.full()));
        Tensor out = backend.allocate(TYPE, q.shape())) {
      plan.run(q, q, q, out);
      q.close();
      assertThrows(IllegalStateException.class, () -> plan.run(q, q, q, out));
    }
  }

  @Test
  void aMappedFileIsNoOutputAndIsNotClosedUnderACall(@TempDir Path folder) throws Exception {
    Path path = folder.resolve("q.safetensors");
    Sequence sequence = Sequence.video(8, 16, 32);
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = backend.plan(sequence, TYPE, 64, 64, List.of(Pattern.full()));
        Tensor q = random(backend, 1, 1, sequence.tokens(), 64);
        Tensor out = backend.allocate(TYPE, q.shape())) {
      Safetensors.write(path, Map.of("q", q), Map.of());
      plan.run(q, q, q, out);
      float[] expected = out.toFloats();
      for (int round = 0; round < 5; round++) {
        Safetensors file = Safetensors.open(path);
        Tensor mapped = file.tensor("q");
        assertThrows(IllegalArgumentException.class, () -> plan.run(q, q, q, mapped));
        assertThrows(
            IllegalArgumentException.class, () -> plan.call().lse(mapped).run(q, q, q, out));
        CountDownLatch started = new CountDownLatch(1);
        AtomicReference<Throwable> ended = new AtomicReference<>();
        Thread caller =
            new Thread(
                () -> {
                  try {
                    while (true) {
                      plan.run(mapped, mapped, mapped, out);
                      started.countDown();
                    }
                  } catch (Throwable thrown) {
                    ended.set(thrown);
                  }
                });
        caller.start();
        started.await();
        Thread.sleep(2 * round);
        file.close();
        caller.join();
        assertEquals(IllegalStateException.class, ended.get().getClass(), ended.get().toString());
        assertArrayEquals(expected, out.toFloats());
      }
    }
  }

  /** Java's own reads and writes, while another thread closes the tensor. */
  @Test
  void closingUnderJavasHands() throws Exception {
    try (Backend backend = Backend.cpu()) {
      for (int round = 0; round < 30; round++) {
        Tensor tensor = random(backend, 64, 1000);
        Tensor turned = tensor.transpose(0, 1);
        CountDownLatch started = new CountDownLatch(1);
        AtomicReference<Throwable> ended = new AtomicReference<>();
        Thread reader =
            new Thread(
                () -> {
                  try {
                    while (true) {
                      started.countDown();
                      turned.copyFrom(turned.toFloats());
                    }
                  } catch (Throwable thrown) {
                    ended.set(thrown);
                  }
                });
        reader.start();
        started.await();
        Thread.sleep(round % 4);
        tensor.close();
        reader.join();
        assertEquals(IllegalStateException.class, ended.get().getClass(), ended.get().toString());
      }
    }
  }

  /** A call is for one thread at a time; two find out. */
  @Test
  void aCallChangedWhileItRuns() throws Exception {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = backend.plan(SEQUENCE, TYPE, DIM, BLOCK, List.of(Pattern.full()));
        Tensor q = random(backend, 2, 1, SEQUENCE.tokens(), DIM);
        Tensor out = backend.allocate(TYPE, q.shape());
        Tensor lse = backend.allocate(TYPE, 2, 1, SEQUENCE.tokens());
        Tensor small = backend.allocate(TYPE, 2, 1, 1)) {
      AttentionCall call = plan.call();
      CountDownLatch done = new CountDownLatch(1);
      AtomicInteger refused = new AtomicInteger();
      Thread changer =
          new Thread(
              () -> {
                for (int i = 0; done.getCount() > 0; i++) {
                  try {
                    call.lse(i % 3 == 0 ? null : i % 3 == 1 ? lse : small);
                    call.textValid(i % 2 == 0 ? new int[] {1, 2} : null);
                  } catch (IllegalStateException inUse) {
                    refused.incrementAndGet();
                  }
                }
              });
      changer.start();
      try {
        for (int i = 0; i < 50_000; i++) {
          try {
            call.run(q, q, q, out);
          } catch (IllegalArgumentException small1) {
            assertTrue(small1.getMessage().contains("lse"), small1.getMessage());
          } catch (IllegalStateException inUse) {
            assertEquals("the call is in use by another thread", inUse.getMessage());
          }
        }
      } finally {
        done.countDown();
        changer.join();
      }
      assertTrue(refused.get() > 0, "the threads never met");
    }
  }

  @Test
  void theLogDenominatorsNeedMemoryOfTheirOwn() {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = backend.plan(SEQUENCE, TYPE, DIM, BLOCK, List.of(Pattern.full()));
        Tensor q = random(backend, 1, 1, SEQUENCE.tokens(), DIM);
        Tensor out = backend.allocate(TYPE, q.shape())) {
      for (Tensor used : List.of(q, out)) {
        Tensor lse =
            Tensor.of(
                used.segment().asSlice(0, SEQUENCE.tokens() * 4L), TYPE, 1, 1, SEQUENCE.tokens());
        IllegalArgumentException thrown =
            assertThrows(
                IllegalArgumentException.class, () -> plan.call().lse(lse).run(q, q, q, out));
        assertTrue(thrown.getMessage().contains("lse"), thrown.getMessage());
      }
    }
  }

  /** Arrays of a sweep's request are its own: changing those given or got changes nothing. */
  @Test
  void aRequestKeepsItsOwnArrays() {
    int[] blocks = {0, 1};
    long[] stops = {1, 2};
    int[][] first = {{0, 1, 2}};
    int[] valid = {5};
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = backend.plan(SEQUENCE, TYPE, DIM, BLOCK, List.of(Pattern.full()));
        Tensor q = random(backend, 1, 1, SEQUENCE.tokens(), DIM)) {
      SweepRequest request =
          SweepRequest.ranked(Order.FRAME_MAJOR, blocks, first, stops).withTextValid(valid);
      double before = plan.sweep(request, q, q, q).error(0, 0, 1, 1);
      blocks[0] = Integer.MAX_VALUE;
      stops[1] = Long.MIN_VALUE;
      first[0] = null;
      valid[0] = -1;
      request.queryBlocks()[1] = -1;
      request.stops()[0] = 99;
      request.first()[0][0] = 99;
      request.textValid()[0] = 99;
      assertEquals(before, plan.sweep(request, q, q, q).error(0, 0, 1, 1));
    }
  }

  @Test
  void sweepsOutsideTheirPlanAreRefused() {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = backend.plan(SEQUENCE, TYPE, DIM, BLOCK, List.of(Pattern.full()));
        AttentionPlan cross = backend.crossPlan(48, 20, TYPE, DIM, 1);
        Tensor q = random(backend, 1, 1, SEQUENCE.tokens(), DIM);
        Tensor crossQ = random(backend, 1, 1, 48, DIM);
        Tensor crossK = random(backend, 1, 1, 20, DIM)) {
      int[] first = {0};
      assertThrows(
          IllegalArgumentException.class,
          () ->
              cross.sweep(
                  SweepRequest.byDistance(Order.FRAME_MAJOR, first, 1), crossQ, crossK, crossK));
      for (int wrong : new int[] {Integer.MIN_VALUE, -1, plan.queryBlocks(), Integer.MAX_VALUE}) {
        int[] blocks = {wrong};
        assertThrows(
            IllegalArgumentException.class,
            () -> plan.sweep(SweepRequest.byDistance(Order.FRAME_MAJOR, blocks, 1), q, q, q));
      }
      for (int wrong : new int[] {Integer.MIN_VALUE, -1, 5, Integer.MAX_VALUE}) {
        int[][] listed = {{wrong}};
        assertThrows(
            IllegalArgumentException.class,
            () -> plan.sweep(SweepRequest.ranked(Order.FRAME_MAJOR, first, listed, 1), q, q, q));
      }
      SweepRequest fine = SweepRequest.byDistance(Order.FRAME_MAJOR, first, 0, Long.MAX_VALUE);
      SweepResult swept = plan.sweep(fine, q, q, q);
      assertTrue(swept.error(0, 0, 0, 0) > 0);
      assertEquals(0, swept.error(0, 0, 0, 1), 1e-9);
      Tensor closed = random(backend, 1, DIM, DIM);
      closed.close();
      assertThrows(IllegalStateException.class, () -> plan.sweep(fine.withGram(closed), q, q, q));
      try (Arena arena = Arena.ofConfined()) {
        Tensor mine = Tensor.of(arena.allocate(4L * DIM * DIM, 4), TYPE, 1, DIM, DIM);
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread other =
            Thread.ofVirtual()
                .start(
                    () -> {
                      try {
                        plan.sweep(fine.withGram(mine), q, q, q);
                      } catch (Throwable refused) {
                        thrown.set(refused);
                      }
                    });
        other.join();
        assertEquals(
            IllegalArgumentException.class, thrown.get().getClass(), thrown.get().toString());
        assertFalse(thrown.get().getMessage().isEmpty());
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }
}
