package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.function.Executable;

/**
 * Misuse is refused before native work, with a message that names the value and what was expected.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class MisuseTest {
  private static final ElementType TYPE = ElementType.BF16;
  private static final int HEADS = 2;
  private static final int DIM = 64;

  private final Sequence sequence = Sequence.video(2, 5, 7).withText(6, false);
  private final int tokens = sequence.tokens();
  private Backend backend;
  private AttentionPlan plan;
  private Tensor q;
  private Tensor k;
  private Tensor v;
  private Tensor out;

  @BeforeAll
  void open() {
    backend = Backend.cpu();
    plan = backend.plan(sequence, TYPE, DIM, 64, List.of(Pattern.full(), Pattern.diagonal(3)));
    q = tensor(TYPE, 1, HEADS, tokens, DIM);
    k = tensor(TYPE, 1, HEADS, tokens, DIM);
    v = tensor(TYPE, 1, HEADS, tokens, DIM);
    out = tensor(TYPE, 1, HEADS, tokens, DIM);
  }

  @AfterAll
  void close() {
    plan.close();
    List.of(q, k, v, out).forEach(Tensor::close);
    backend.close();
  }

  private Tensor tensor(ElementType type, long... shape) {
    Tensor tensor = backend.allocate(type, shape);
    return tensor.copyFrom(new float[(int) tensor.elements()]);
  }

  private static <T extends Throwable> void refused(
      Class<T> type, Executable call, String... parts) {
    T thrown = assertThrows(type, call);
    for (String part : parts) {
      assertTrue(
          thrown.getMessage().contains(part),
          () -> "\"" + part + "\" is not in: " + thrown.getMessage());
    }
  }

  private static void refused(Executable call, String... parts) {
    refused(IllegalArgumentException.class, call, parts);
  }

  @Test
  void theRightCallIsAccepted() {
    plan.run(q, k, v, out);
  }

  @Test
  void missingTensors() {
    refused(() -> plan.run(null, k, v, out), "q, k and v are needed");
    refused(() -> plan.run(q, k, null, out), "q, k and v are needed");
    refused(() -> plan.run(q, k, v, null), "out is needed");
  }

  @Test
  void wrongShapes() {
    try (Tensor flat = tensor(TYPE, HEADS, tokens, DIM);
        Tensor short1 = tensor(TYPE, 1, HEADS, tokens - 1, DIM);
        Tensor heads = tensor(TYPE, 1, HEADS + 1, tokens, DIM);
        Tensor dim = tensor(TYPE, 1, HEADS, tokens, 32);
        Tensor batch = tensor(TYPE, 2, HEADS, tokens, DIM);
        Tensor none = tensor(TYPE, 0, HEADS, tokens, DIM)) {
      String expected = "expected BF16 [1, 2, 76, 64]";
      refused(() -> plan.run(flat, k, v, out), "q is BF16 [2, 76, 64]", expected);
      refused(() -> plan.run(q, short1, v, out), "k is BF16 [1, 2, 75, 64]", expected);
      refused(() -> plan.run(q, k, heads, out), "v is BF16 [1, 3, 76, 64]", expected);
      refused(() -> plan.run(q, k, v, dim), "out is BF16 [1, 2, 76, 32]", expected);
      refused(
          () -> plan.run(batch, k, v, out),
          "k is BF16 [1, 2, 76, 64]",
          "expected BF16 [2, 2, 76, 64]");
      refused(() -> plan.run(none, k, v, out), "BF16 [0, 2, 76, 64]", "a batch of 1");
    }
  }

  @Test
  void wrongTypes() {
    try (Tensor wide = tensor(ElementType.FP32, 1, HEADS, tokens, DIM);
        Tensor half = tensor(ElementType.FP16, 1, HEADS, tokens, DIM)) {
      refused(() -> plan.run(wide, k, v, out), "q is FP32", "expected BF16");
      refused(() -> plan.run(q, k, v, half), "out is FP16", "expected BF16");
    }
  }

  @Test
  void wrongStrides() {
    try (Tensor turned = tensor(TYPE, 1, HEADS, DIM, tokens)) {
      refused(() -> plan.run(turned.transpose(2, 3), k, v, out), "strides", "head dim contiguous");
    }
  }

  @Test
  void outputThatOverlapsAnInput() {
    refused(() -> plan.run(q, k, v, q), "q and out overlap");
    refused(() -> plan.run(q, k, v, k), "k and out overlap");
    refused(() -> plan.run(q, k, v, v), "v and out overlap");
    try (Tensor two = tensor(TYPE, 2, HEADS, tokens, DIM)) {
      Tensor first = two.slice(0, 0, 1);
      Tensor second = two.slice(0, 1, 2);
      plan.run(first, k, v, second); // neighbours do not overlap
    }
  }

  @Test
  void readOnlyOutput() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(out.elements() * 2, 64).asReadOnly();
      Tensor readOnly = Tensor.of(memory, TYPE, out.shape());
      refused(() -> plan.run(q, k, v, readOnly), "out is read-only");
      plan.run(readOnly, k, v, out); // as an input it is welcome
    }
  }

  @Test
  void misalignedMemory() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(q.elements() * 2 + 1, 64).asSlice(1);
      refused(
          () -> plan.run(Tensor.of(memory, TYPE, q.shape()), k, v, out),
          "q begins at address",
          "multiple of 2");
    }
  }

  @Test
  void arenaOfAnotherThread() throws Exception {
    try (Arena arena = Arena.ofConfined()) {
      Tensor mine = Tensor.of(arena.allocate(q.elements() * 2, 64), TYPE, q.shape());
      plan.run(mine, k, v, out);
      Throwable[] thrown = new Throwable[1];
      Thread other =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      plan.run(mine, k, v, out);
                    } catch (Throwable e) {
                      thrown[0] = e;
                    }
                  });
      other.join();
      assertEquals(IllegalArgumentException.class, thrown[0].getClass());
      assertTrue(thrown[0].getMessage().contains("q lies in an arena confined to another thread"));
    }
  }

  @Test
  void heapSegmentsAndWrongSizes() {
    refused(() -> Tensor.of(MemorySegment.ofArray(new byte[8]), TYPE, 4), "native segment");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(8);
      refused(() -> Tensor.of(memory, TYPE, 5), "takes 10 bytes", "has 8");
      refused(() -> Tensor.of(memory, TYPE, -1), "at least 0", "[-1]");
      refused(() -> Tensor.of(memory, TYPE, 1L << 40, 1L << 40), "2^63");
      refused(() -> backend.allocate(TYPE, 1L << 40, 1L << 40), "2^63");
    }
  }

  @Test
  void closedMemory() {
    Tensor closed = tensor(TYPE, 1, HEADS, tokens, DIM);
    closed.close();
    refused(IllegalStateException.class, () -> plan.run(q, closed, v, out), "k is closed");
    refused(IllegalStateException.class, closed::segment, "closed");
    refused(IllegalStateException.class, closed::toFloats, "closed");
    Arena arena = Arena.ofShared();
    Tensor viewed = Tensor.of(arena.allocate(q.elements() * 2, 64), TYPE, q.shape());
    arena.close();
    refused(IllegalStateException.class, () -> plan.run(q, k, viewed, out), "v is closed");
  }

  @Test
  void callOptions() {
    AttentionCall call = plan.call();
    refused(() -> call.heads(1, 3), "heads [1, 3)", "[0, 2)");
    refused(() -> call.heads(-1, 1), "heads [-1, 1)");
    refused(() -> call.heads(1, 1), "heads [1, 1)");
    refused(() -> call.queryBlocks(0, 99), "query blocks [0, 99)", "[0, 3)");
    refused(
        () -> plan.call().textValid(1, 2).run(q, k, v, out),
        "textValid has 2 counts",
        "batch row, 1");
    refused(
        () -> plan.call().textValid(7).run(q, k, v, out),
        "textValid of batch row 0 is 7",
        "0 to 6");
    refused(() -> plan.call().textValid(-1).run(q, k, v, out), "is -1", "0 to 6");
    refused(() -> plan.call().scale(Float.NaN).run(q, k, v, out), "scale must be finite", "NaN");
    try (Tensor narrow = tensor(ElementType.FP32, 1, HEADS, tokens - 1);
        Tensor wrong = tensor(TYPE, 1, HEADS, tokens)) {
      refused(
          () -> plan.call().lse(narrow).run(q, k, v, out),
          "lse is FP32 [1, 2, 75]",
          "FP32 [1, 2, 76]");
      refused(
          () -> plan.call().lse(wrong).run(q, k, v, out),
          "lse is BF16",
          "expected contiguous FP32");
    }
  }

  @Test
  void plans() {
    List<Pattern> one = List.of(Pattern.full());
    refused(() -> backend.plan(sequence, TYPE, DIM, 64, List.of()), "a pattern per head");
    refused(
        () ->
            backend.plan(
                sequence, TYPE, DIM, 64, List.of(Pattern.full(), Pattern.verticalStripe(2))),
        "head 1",
        "blocks hold block 2",
        "less than 2 video blocks");
    refused(
        () ->
            backend.plan(
                sequence,
                TYPE,
                DIM,
                64,
                List.of(Pattern.blocks(Order.FRAME_MAJOR, List.of(List.of())))),
        "head 0",
        "lists 1",
        "one per video block, 2");
    refused(
        UnsupportedException.class,
        () -> backend.plan(sequence, TYPE, 12, 64, one),
        "head_dim is 12");
    refused(() -> backend.plan(sequence, TYPE, DIM, 0, one), "block must be at least 1: 0");
    refused(InvalidArgumentException.class, () -> backend.plan(sequence, TYPE, DIM, 63, one), "63");
    refused(() -> backend.crossPlan(5, 0, TYPE, DIM, 1), "keyTokens must be at least 1: 0");
    refused(() -> backend.crossPlan(5, 3, TYPE, DIM, 0), "heads must be at least 1: 0");
  }

  @Test
  void sequencesPatternsAndSchedules() {
    refused(() -> Sequence.video(0, 1, 1), "0 x 1 x 1");
    refused(() -> Sequence.video(1, 1, 1).withText(-1, true), "text must be at least 0: -1");
    refused(() -> Sequence.video(1 << 20, 1 << 20, 1), "at most 2147483647 tokens");
    refused(() -> Pattern.diagonal(-1), "window -1", "at least 0");
    refused(() -> Pattern.verticalStripe(3, 3), "strictly ascending: 3 after 3");
    refused(() -> Pattern.diagonal(0, -1), "strictly ascending: -1 after none");
    refused(() -> Order.tileMajor(1, 0, 1), "tile sizes", "1 x 0 x 1");
    refused(() -> new Order(Order.Kind.TOKEN_MAJOR, 1, 1, 1), "token-major has no tiles");
    refused(
        () -> new Pattern(Mode.MULTI_DIAGONAL, Order.FRAME_MAJOR, 1, List.of(), List.of()),
        "multi-diagonal: order frame-major",
        "token-major");
    refused(
        () -> new Pattern(Mode.FULL, Order.FRAME_MAJOR, 1, List.of(), List.of()),
        "full: window 1, expected 0");
    refused(() -> new Schedule(List.of()), "at least one timestep");
    refused(() -> new Schedule(List.of(1000.5)), "timestep 0", "[0, 1000]", "1000.5");
    refused(() -> new Schedule(List.of(5.0, 5.0)), "timesteps must descend", "step 1 is 5.0");
    refused(() -> new ModelShape("m", 0, 1, 1), "at least 1: 0, 1, 1");
    refused(() -> new CpuOptions(-1, CpuOptions.Tier.AUTO), "threads must be at least 0: -1");
  }

  @Test
  void policiesForOtherModels() {
    Policy wrong =
        new Policy() {
          @Override
          public ModelShape model() {
            return new ModelShape("m", 1, 3, DIM);
          }

          @Override
          public int block() {
            return 64;
          }

          @Override
          public List<Pattern> patterns(double timestep, int layer) {
            return Collections.nCopies(2, Pattern.full());
          }
        };
    Schedule schedule = new Schedule(List.of(500.0));
    refused(
        () -> SparseAttention.of(backend, wrong, sequence, schedule, TYPE),
        "2 patterns for layer 0",
        "per head, 3");
    Policy dense = Policy.dense(new ModelShape("m", 2, HEADS, DIM), 64);
    try (SparseAttention attention = SparseAttention.of(backend, dense, sequence, schedule)) {
      refused(() -> attention.run(1, 0, q, k, v, out), "step 1, layer 0", "below 1");
      refused(() -> attention.run(0, 2, q, k, v, out), "step 0, layer 2", "below 2");
    }
  }

  @Test
  void unavailableBackendsSayWhy() {
    if (Backend.library().build().contains("CUDA not built in")) {
      refused(BackendUnavailableException.class, () -> Backend.cuda(0), "CUDA", "not built");
    }
    String best;
    try (Backend chosen = Backend.best()) {
      best = chosen.describe();
      if (chosen.kind() == Backend.Kind.CPU) {
        assertTrue(best.contains("CUDA not used: "), best);
      }
    }
  }
}
