package io.github.sparsevdit.search;

import io.github.sparsevdit.NotFiniteException;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.search.capture.FinitePoint;
import io.github.sparsevdit.search.sweep.OutputProjection;
import io.github.sparsevdit.search.sweep.SampledQueryBlocks;
import io.github.sparsevdit.search.sweep.SweepPass;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Scores the candidates on one calibration point after another, by what the state holds. */
final class PointScorer implements AutoCloseable {
  /** Floats of full output fetched at once. */
  private static final long MAX_OUTPUT = 16L << 20;

  private final SearchSetup setup;
  private final SearchState state;
  private final Sweeper sweeper;

  /** [H, D, D] of each network's layers; a layer's projection is the same at all its points. */
  private final Map<NetworkLayer, Tensor> grams = new HashMap<>();

  private final Arena arena = Arena.ofShared();

  private record NetworkLayer(int network, int layer) {}

  PointScorer(SearchSetup setup, SearchState state, Sweeper sweeper) {
    this.setup = setup;
    this.state = state;
    this.sweeper = sweeper;
  }

  @Override
  public void close() {
    arena.close();
  }

  /** The passes a stage runs. */
  static List<SweepPass> passes(Candidates candidates, SearchStage stage) {
    return switch (stage) {
      case SURVEY -> candidates.passes().stream().filter(pass -> !pass.needsBlocks()).toList();
      case LISTED -> candidates.passes().stream().filter(SweepPass::needsBlocks).toList();
      case REFINE -> candidates.passes();
    };
  }

  /** What a point gives; the state is left as it is. */
  PointFindings score(Point point, SearchStage stage) {
    Key key = point.key();
    int phase = setup.phaseOf(key.step());
    PointFindings found =
        stage == SearchStage.SURVEY
            ? PointFindings.surveyed(key, phase, setup.half(key), state)
            : PointFindings.scored(key, phase, setup.half(key));
    int round = stage == SearchStage.REFINE ? 1 : 0;
    SampledQueryBlocks sample = setup.queryBlocks(key, round);
    boolean scoresSkip = stage != SearchStage.LISTED; // once a stage, by its first pass
    for (SweepPass pass : passes(setup.candidates, stage)) {
      for (int[] heads : headRanges(stage, phase, key.layer())) {
        new Pass(point, stage, pass, sample, found, heads[0], heads[1]).run(scoresSkip);
      }
      scoresSkip = false;
    }
    return found;
  }

  private List<int[]> headRanges(SearchStage stage, int phase, int layer) {
    if (stage != SearchStage.REFINE) {
      return List.of(new int[] {0, state.heads});
    }
    List<int[]> ranges = new ArrayList<>();
    for (int head = 0; head < state.heads; head++) {
      if (!state.undecided[state.head(phase, layer, head)]) {
        continue;
      }
      if (!ranges.isEmpty() && ranges.getLast()[1] == head) {
        ranges.getLast()[1]++;
      } else {
        ranges.add(new int[] {head, head + 1});
      }
    }
    return ranges;
  }

  private boolean projected() {
    return setup.options.rule() == RuleName.LAGRANGIAN;
  }

  /** One pass over one point for some heads. */
  private final class Pass {
    final Point point;
    final SearchStage stage;
    final SweepPass pass;
    final SampledQueryBlocks sample;
    final PointFindings found;
    final int headBegin;
    final int headEnd;
    final int order;
    final int[] rows;
    final OutputProjection projection;
    final double[][] error;
    final double[] norm;
    double layerNorm;

    Pass(
        Point point,
        SearchStage stage,
        SweepPass pass,
        SampledQueryBlocks sample,
        PointFindings found,
        int headBegin,
        int headEnd) {
      this.point = point;
      this.stage = stage;
      this.pass = pass;
      this.sample = sample;
      this.found = found;
      this.headBegin = headBegin;
      this.headEnd = headEnd;
      this.order = SearchState.order(pass.order());
      this.rows = sample.rows(setup.sequence, setup.options.block());
      boolean wantsNorm = stage == SearchStage.SURVEY && projected();
      this.projection =
          wantsNorm && point.outProjection() != null
              ? new OutputProjection(point.outProjection(), state.heads, setup.model.headDim())
              : null;
      this.error = new double[headEnd - headBegin][pass.stops().length];
      this.norm = new double[headEnd - headBegin];
    }

    void run(boolean scoresSkip) {
      int batch = Math.toIntExact(point.q().size(0));
      long floatsPerBlock =
          (long) batch * (headEnd - headBegin) * setup.options.block() * setup.model.headDim();
      int chunk =
          projection == null
              ? rows.length
              : Math.clamp(MAX_OUTPUT / floatsPerBlock, 1, rows.length);
      for (int from = 0; from < rows.length; from += chunk) {
        sweep(batch, from, Math.min(rows.length, from + chunk));
      }
      double denominator = denominator(batch);
      for (int head = headBegin; head < headEnd; head++) {
        if (scoresSkip) {
          add(head, Candidates.SKIP, norm[head - headBegin] / denominator);
        }
        for (int stop = 0; stop < pass.stops().length; stop++) {
          add(head, pass.candidates()[stop], error[head - headBegin][stop] / denominator);
        }
      }
      if (stage == SearchStage.SURVEY) {
        found.norms[order] = denominator;
      }
    }

    private void add(int head, int candidate, double share) {
      if (!Double.isFinite(share)) {
        throw new NotFiniteException(
            "%s, head %d: the error of %s is %s; the projection contains values that are not finite, or sums of Q, K, V exceed the range of float"
                .formatted(
                    FinitePoint.name(point, setup.network(point.key().step()), setup.networks()),
                    head,
                    setup.candidates.all().get(candidate),
                    share));
      }
      found.scores.add(new PointFindings.Score(head, candidate, share));
    }

    private void sweep(int batch, int from, int to) {
      SweepResult swept = sweeper.sweep(point, request(from, to));
      int heads = headEnd - headBegin;
      int blocks = to - from;
      int stops = pass.stops().length;
      for (int b = 0; b < batch; b++) {
        for (int h = 0; h < heads; h++) {
          for (int n = 0; n < blocks; n++) {
            double weight = sample.weights()[from + n];
            norm[h] += weight * swept.norm(b, h, n);
            for (int t = 0; t < stops; t++) {
              error[h][t] += weight * swept.error(b, h, n, t);
            }
            if (stage == SearchStage.SURVEY) {
              int massAt = (headBegin + h) * state.blocks;
              for (int key = 0; key < state.blocks; key++) {
                found.mass[order][massAt + key] += weight * swept.mass(b, h, n, key);
              }
            }
          }
        }
      }
      if (projection != null) {
        for (int b = 0; b < batch; b++) {
          addLayerNorm(swept, b, from, to);
        }
      }
    }

    /** Adds ‖Σ_h O_0,h W_O,h‖² of one batch row's sampled blocks. */
    private void addLayerNorm(SweepResult swept, int batchRow, int from, int to) {
      int headDim = setup.model.headDim();
      int total = Arrays.stream(rows, from, to).sum();
      float[] features = new float[state.heads * headDim * total];
      for (int h = 0; h < state.heads; h++) {
        int row = 0;
        for (int n = from; n < to; n++) {
          float[] output = swept.reference(batchRow, h, n - from);
          for (int r = 0; r < rows[n]; r++, row++) {
            for (int d = 0; d < headDim; d++) {
              features[(h * headDim + d) * total + row] = output[r * headDim + d];
            }
          }
        }
      }
      double[] norms = projection.squaredNorms(features, total);
      int row = 0;
      for (int n = from; n < to; n++) {
        for (int r = 0; r < rows[n]; r++, row++) {
          layerNorm += sample.weights()[n] * norms[row];
        }
      }
    }

    /** What a head's squared disturbance is divided by; never 0. */
    private double denominator(int batch) {
      double value;
      if (!projected()) {
        double elements = 0;
        for (int n = 0; n < rows.length; n++) {
          elements += sample.weights()[n] * rows[n];
        }
        value = elements * batch * setup.model.headDim();
      } else if (stage != SearchStage.SURVEY) {
        value = state.norms.get(point.key())[order];
      } else if (projection != null) {
        value = layerNorm;
      } else {
        value = Arrays.stream(norm).sum();
      }
      return value > 0 || Double.isNaN(value) ? value : Double.MIN_NORMAL;
    }

    private SweepRequest request(int from, int to) {
      int[] blocks = Arrays.copyOfRange(sample.blocks(), from, to);
      SweepRequest request =
          (pass.byDistance()
                  ? SweepRequest.byDistance(pass.order(), blocks, pass.stops())
                  : SweepRequest.ranked(pass.order(), blocks, null, pass.stops()))
              .withHeads(headBegin, headEnd)
              .withFirst(first())
              .withTextValid(point.textValid());
      if (projected() && point.outProjection() != null) {
        request = request.withGram(gram().slice(0, headBegin, headEnd));
      }
      if (projection != null) {
        request = request.withReference();
      }
      return stage == SearchStage.SURVEY ? request.withMass() : request;
    }

    private Tensor gram() {
      return grams.computeIfAbsent(
          new NetworkLayer(setup.network(point.key().step()), point.key().layer()),
          key -> {
            int dim = setup.model.headDim();
            OutputProjection weight = new OutputProjection(point.outProjection(), state.heads, dim);
            long bytes = (long) state.heads * dim * dim * Float.BYTES;
            return Tensor.of(arena.allocate(bytes, 64), ElementType.FP32, state.heads, dim, dim)
                .copyFrom(weight.gram());
          });
    }

    /** Each head's listed blocks, chosen on the half this point is not in. */
    private int[][] first() {
      if (!pass.needsBlocks()) {
        return null;
      }
      int[][] first = new int[headEnd - headBegin][];
      int other = 1 - setup.half(point.key());
      for (int head = headBegin; head < headEnd; head++) {
        int[] ranked = state.ranked(order, other, found.phase, point.key().layer(), head);
        first[head - headBegin] = Arrays.copyOf(ranked, pass.listed());
      }
      return first;
    }
  }
}
