package io.github.sparsevdit.search;

import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.search.sweep.SweepPass;
import java.time.Duration;
import java.util.List;

/** How far a search is: counts passes over points, which all cost about the same. */
final class ProgressCount {
  private final SearchSetup setup;
  private final SearchState state;
  private final long points;
  private final long began = System.nanoTime();
  private final double before;

  ProgressCount(CalibrationSource source, SearchSetup setup, SearchState state) {
    this.setup = setup;
    this.state = state;
    this.points = Math.max(1, source.points() * setup.wantedSteps.size() / source.steps().size());
    this.before = state.stage < SearchStage.values().length ? fraction() : 1;
  }

  SearchProgress after(SearchStage stage) {
    double fraction = fraction();
    long elapsed = System.nanoTime() - began;
    double gained = fraction - before;
    Duration remaining =
        gained < 0.002 ? null : Duration.ofNanos((long) (elapsed * (1 - fraction) / gained));
    return new SearchProgress(
        stage, fraction, state.done.size(), points, Duration.ofNanos(elapsed), remaining);
  }

  private double fraction() {
    double done = 0;
    double all = 0;
    for (SearchStage stage : SearchStage.values()) {
      double work = setup.needs(stage) ? passes(stage) : 0;
      all += work;
      double share =
          stage.ordinal() < state.stage
              ? 1
              : stage.ordinal() > state.stage
                  ? 0
                  : Math.min(1, state.done.size() / (double) points);
      done += work * share;
    }
    return done / all;
  }

  /** Refining is reckoned at half its passes: how many heads are undecided is not known before. */
  private double passes(SearchStage stage) {
    List<SweepPass> passes = PointScorer.passes(setup.candidates, stage);
    return stage == SearchStage.REFINE ? passes.size() / 2.0 : passes.size();
  }
}
