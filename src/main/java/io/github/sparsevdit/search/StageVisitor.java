package io.github.sparsevdit.search;

import io.github.sparsevdit.internal.SearchPointEvent;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.search.capture.FinitePoint;

/** One stage of a search over the points of a source: what it wants of them, and what it does. */
final class StageVisitor implements CalibrationSource.Visitor {
  private final OfflineSearch search;
  private final SearchSetup setup;
  private final SearchState state;
  private final SearchStage stage;
  private final PointScorer scorer;
  private final ProgressCount progress;
  private final SearchLog log; // null for none
  private long saved = System.nanoTime();

  StageVisitor(
      OfflineSearch search,
      SearchSetup setup,
      SearchState state,
      SearchStage stage,
      PointScorer scorer,
      ProgressCount progress,
      SearchLog log) {
    this.search = search;
    this.setup = setup;
    this.state = state;
    this.stage = stage;
    this.scorer = scorer;
    this.progress = progress;
    this.log = log;
  }

  @Override
  public boolean wants(Key key) {
    return setup.wants(key)
        && !state.done.contains(key)
        && (stage != SearchStage.REFINE || anyUndecided(key));
  }

  private boolean anyUndecided(Key key) {
    for (int head = 0; head < state.heads; head++) {
      if (state.undecided[state.head(setup.phaseOf(key.step()), key.layer(), head)]) {
        return true;
      }
    }
    return false;
  }

  @Override
  public void accept(Point point) {
    search.requireGoingOn();
    FinitePoint.require(
        point, setup.sequence, setup.options.block(), setup.available, setup.networkStarts);
    SearchPointEvent event = new SearchPointEvent();
    event.begin();
    PointFindings found = scorer.score(point, stage);
    event.end();
    if (event.shouldCommit()) {
      event.stage = stage.name();
      event.sample = point.key().sample();
      event.step = point.key().step();
      event.layer = point.key().layer();
      event.branch = point.key().branch();
      event.commit();
    }
    state.add(found);
    if (log != null) {
      log.add(found);
      long now = System.nanoTime();
      if (now - saved >= search.checkpointEvery().toNanos() || log.full()) {
        log.checkpoint(state);
        saved = now;
      }
    }
    search.tell(progress.after(stage));
  }

  /** Puts what was found into the checkpoint, if there is one. */
  void flush() {
    if (log != null) {
      log.flush(state);
    }
  }
}
