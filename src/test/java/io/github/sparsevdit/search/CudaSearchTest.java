package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The search on a CUDA device: the same tables as on the CPU. */
@Tag("cuda")
class CudaSearchTest {
  private static final int BLOCK = 64;
  private static final int HEAD_DIM = 64;
  private static final Sequence VIDEO = Sequence.video(3, 8, 8);
  private static final Sequence WITH_TEXT = VIDEO.withText(20, false);
  private static final Candidates CANDIDATES =
      Candidates.builder()
          .diagonal(List.of(0L, 64L))
          .multiDiagonal(List.of(0L, 64L))
          .anchors(List.of(1))
          .stripes(Order.FRAME_MAJOR, List.of(1, 2))
          .build();

  /** A source's points in bf16; K lies [B, S, H, D] in memory, as in captures of that layout. */
  private record InBf16(SyntheticSource source) implements CalibrationSource {
    @Override
    public ModelShape model() {
      return source.model();
    }

    @Override
    public Sequence sequence() {
      return source.sequence();
    }

    @Override
    public ElementType type() {
      return ElementType.BF16;
    }

    @Override
    public Schedule schedule() {
      return source.schedule();
    }

    @Override
    public int samples() {
      return source.samples();
    }

    @Override
    public long points() {
      return source.points();
    }

    @Override
    public String sha256() {
      return source.sha256();
    }

    @Override
    public void visit(Visitor visitor) {
      source.visit(
          new Visitor() {
            @Override
            public boolean wants(Key key) {
              return visitor.wants(key);
            }

            @Override
            public void accept(Point point) {
              try (Arena arena = Arena.ofShared()) {
                Tensor k = point.k().transpose(1, 2);
                visitor.accept(
                    new Point(
                        point.key(),
                        point.timestep(),
                        bf16(arena, point.q()),
                        bf16(arena, k).transpose(1, 2),
                        bf16(arena, point.v()),
                        point.outProjection(),
                        point.textValid()));
              }
            }
          });
    }

    @Override
    public void close() {}

    private static Tensor bf16(Arena arena, Tensor values) {
      return Tensor.of(arena.allocate(2 * values.elements(), 64), ElementType.BF16, values.shape())
          .copyFrom(values.toFloats());
    }
  }

  // Two samples (one to choose on, one to score on) of one step: a simulated device is slow.
  private static CalibrationSource source(Sequence sequence, int outputs, int[] textValid) {
    return new InBf16(
        new SyntheticSource(
            sequence, 1, HEAD_DIM, 1, 2, outputs, textValid, PlantedHeads.all(sequence, HEAD_DIM)));
  }

  private static SearchOptions options(RuleName rule) {
    return SearchOptions.defaults()
        .withBlock(BLOCK)
        .withCandidates(CANDIDATES)
        .withRule(rule)
        .withLambda(rule == RuleName.PAPER ? 0.5 : 0.1)
        .withShare(1)
        .withRefine(false)
        .withStepsPerPhase(8)
        .withPhaseStarts(List.of(0));
  }

  @Test
  void findsWhatTheCpuFinds() {
    CalibrationSource source = source(WITH_TEXT, 24, new int[] {11});
    Findings found = agrees(source, RuleName.LAGRANGIAN);
    agrees(source(VIDEO, 0, null), RuleName.PAPER);
    // And the same bits once more.
    try (Backend cuda = Backend.cuda(0)) {
      Findings again = new OfflineSearch(cuda, options(RuleName.LAGRANGIAN)).measure(source);
      for (int head = 0; head < source.model().heads(); head++) {
        for (int i = 0; i < CANDIDATES.all().size(); i++) {
          assertEquals(found.error(0, 0, head, i), again.error(0, 0, head, i), 0);
        }
      }
    }
  }

  private static Findings agrees(CalibrationSource source, RuleName rule) {
    SearchOptions options = options(rule);
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0)) {
      Findings expected = new OfflineSearch(cpu, options).measure(source);
      Findings found = new OfflineSearch(cuda, options).measure(source);
      for (int head = 0; head < source.model().heads(); head++) {
        for (int i = 0; i < CANDIDATES.all().size(); i++) {
          double error = expected.error(0, 0, head, i);
          assertEquals(
              error,
              found.error(0, 0, head, i),
              1e-3 + 0.02 * error,
              "head %d %s".formatted(head, CANDIDATES.all().get(i)));
        }
      }
      assertArrayEquals(expected.select().chosen()[0][0], found.select().chosen()[0][0]);
      DispatchTable table = found.table();
      LayerError onCpu = LayerError.over(source, cpu, table, step -> true);
      LayerError onCuda = LayerError.over(source, cuda, table, step -> true);
      assertEquals(onCpu.calls(), onCuda.calls());
      assertEquals(onCpu.mean(), onCuda.mean(), 1e-3 + 0.02 * onCpu.mean());
      return found;
    }
  }

  /** What is measured is the work, not its queueing. */
  @Test
  void costIsMeasuredWhenTheWorkIsDone() {
    try (Backend cuda = Backend.cuda(0)) {
      Sequence sequence = Sequence.video(2, 8, 16);
      CostModel cost =
          CostMeasurement.measure(cuda, sequence, ElementType.BF16, HEAD_DIM, 2, BLOCK, 1);
      assertTrue(cost.perDensity() > 0.3, cost::toString); // of a full head's 1
    }
  }

  @Test
  void sweepsRefuseWhatLiesOnTheWrongSide() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        Tensor host = cpu.allocate(ElementType.BF16, 1, 1, 64, HEAD_DIM);
        Tensor device = cuda.allocate(ElementType.BF16, 1, 1, 64, HEAD_DIM);
        Tensor gram = cuda.allocate(ElementType.FP32, 1, HEAD_DIM, HEAD_DIM);
        AttentionPlan plan =
            cuda.plan(
                Sequence.video(1, 8, 8),
                ElementType.BF16,
                HEAD_DIM,
                BLOCK,
                List.of(Pattern.full()))) {
      SweepRequest request = SweepRequest.byDistance(Order.FRAME_MAJOR, new int[] {0}, 0);
      Exception refused =
          assertThrows(
              IllegalArgumentException.class, () -> plan.sweep(request, device, host, device));
      assertTrue(refused.getMessage().contains("k lies in host memory"), refused::getMessage);
      refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> plan.sweep(request.withGram(gram), device, device, device));
      assertTrue(
          refused.getMessage().contains("gram lies on CUDA device 0: expected host memory"),
          refused::getMessage);
    }
  }
}
