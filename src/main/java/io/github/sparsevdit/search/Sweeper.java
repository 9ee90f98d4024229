package io.github.sparsevdit.search;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.search.capture.Placement;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import java.util.Collections;
import java.util.List;

/** Runs one pass over all keys of a calibration point. */
interface Sweeper extends AutoCloseable {
  SweepResult sweep(Point point, SweepRequest request);

  @Override
  void close();

  /** Sweeps on a backend, with one plan for all layers: a sweep does not look at patterns. */
  static Sweeper on(Backend backend, SearchSetup setup) {
    AttentionPlan plan =
        backend.plan(
            setup.sequence,
            setup.type,
            setup.model.headDim(),
            setup.options.block(),
            Collections.nCopies(setup.model.heads(), Pattern.full()));
    Placement placement = new Placement(backend);
    return new Sweeper() {
      @Override
      public SweepResult sweep(Point point, SweepRequest request) {
        Placement inputs = placement.of(point);
        return plan.sweep(request, inputs.q(), inputs.k(), inputs.v());
      }

      @Override
      public void close() {
        Resources.closeAll(List.of(placement, plan));
      }
    };
  }
}
