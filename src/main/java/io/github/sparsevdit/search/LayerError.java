package io.github.sparsevdit.search;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.search.capture.Placement;
import io.github.sparsevdit.search.sweep.OutputProjection;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.function.Predicate;

/**
 * The share of layers' outputs that a policy disturbs, all heads of a layer together: {@code ‖Σ_h
 * (O_h − O_0,h) W_O,h‖² / ‖Σ_h O_0,h W_O,h‖²}, where O_h is what the policy gives and O_0,h full
 * attention on the same inputs. The search judges heads one by one; this measures what their errors
 * come to. Not thread-safe.
 */
public final class LayerError {
  private static final int ROWS = 512;

  private double sum;
  private long calls;

  /** Mean over the calls added; NaN before the first. */
  public double mean() {
    return sum / calls;
  }

  /** How many calls were added. */
  public long calls() {
    return calls;
  }

  /**
   * Adds a call.
   *
   * @param sparse what the policy gave, [B, H, S, D]; fetched if it lies on a device
   * @param dense full attention on the same inputs
   * @param outProjection [d, H·D], or null
   * @return its share
   */
  public double add(Tensor sparse, Tensor dense, Tensor outProjection) {
    try (Arena arena = Arena.ofShared()) {
      return addOnHost(
          Placement.onHost(sparse, arena), Placement.onHost(dense, arena), outProjection);
    }
  }

  private double addOnHost(Tensor sparse, Tensor dense, Tensor outProjection) {
    int heads = Math.toIntExact(dense.size(1));
    int tokens = Math.toIntExact(dense.size(2));
    int headDim = Math.toIntExact(dense.size(3));
    OutputProjection projection =
        outProjection == null ? null : new OutputProjection(outProjection, heads, headDim);
    double disturbed = 0;
    double all = 0;
    for (long batchRow = 0; batchRow < dense.size(0); batchRow++) {
      for (int from = 0; from < tokens; from += ROWS) {
        int rows = Math.min(tokens - from, ROWS);
        float[] was = dense.select(0, batchRow).slice(1, from, from + rows).toFloats();
        float[] is = sparse.select(0, batchRow).slice(1, from, from + rows).toFloats();
        for (int i = 0; i < is.length; i++) {
          is[i] -= was[i];
        }
        disturbed += squares(is, heads, rows, headDim, projection);
        all += squares(was, heads, rows, headDim, projection);
      }
    }
    double share = all == 0 ? 0 : disturbed / all;
    sum += share;
    calls++;
    return share;
  }

  /**
   * Of a policy on a source's own inputs, which those of a dense run are.
   *
   * @param steps which steps to look at
   */
  public static LayerError over(
      CalibrationSource source, Backend backend, Policy policy, Predicate<Integer> steps) {
    LayerError error = new LayerError();
    Policy full = Policy.dense(source.model(), policy.block());
    try (SparseAttention sparse =
            SparseAttention.of(
                backend, policy, source.sequence(), source.schedule(), source.type());
        SparseAttention dense =
            SparseAttention.of(backend, full, source.sequence(), source.schedule(), source.type());
        Placement placement = new Placement(backend)) {
      source.visit(
          new CalibrationSource.Visitor() {
            @Override
            public boolean wants(CalibrationSource.Key key) {
              return steps.test(key.step());
            }

            @Override
            public void accept(CalibrationSource.Point point) {
              int step = point.key().step();
              int layer = point.key().layer();
              try (Tensor was = backend.allocate(source.type(), point.q().shape());
                  Tensor is = backend.allocate(source.type(), point.q().shape())) {
                int[] valid = point.textValid();
                Placement inputs = placement.of(point);
                dense
                    .plan(step, layer)
                    .call()
                    .textValid(valid)
                    .run(inputs.q(), inputs.k(), inputs.v(), was);
                sparse
                    .plan(step, layer)
                    .call()
                    .textValid(valid)
                    .run(inputs.q(), inputs.k(), inputs.v(), is);
                error.add(is, was, point.outProjection());
              }
            }
          });
    }
    return error;
  }

  /** Σ over rows of ‖Σ_h x_h W_O,h‖²; values are [H, rows, D]. */
  private static double squares(
      float[] values, int heads, int rows, int headDim, OutputProjection projection) {
    if (projection == null) {
      double sum = 0;
      for (float value : values) {
        sum += (double) value * value;
      }
      return sum;
    }
    float[] features = new float[values.length];
    for (int h = 0; h < heads; h++) {
      for (int r = 0; r < rows; r++) {
        for (int d = 0; d < headDim; d++) {
          features[(h * headDim + d) * rows + r] = values[(h * rows + r) * headDim + d];
        }
      }
    }
    return Arrays.stream(projection.squaredNorms(features, rows)).sum();
  }
}
