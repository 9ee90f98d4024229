package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.ProgressDisplay;
import io.github.sparsevdit.cli.terminal.StopOnInterrupt;
import io.github.sparsevdit.search.CostMeasurement;
import io.github.sparsevdit.search.CostModel;
import io.github.sparsevdit.search.Findings;
import io.github.sparsevdit.search.OfflineSearch;
import io.github.sparsevdit.search.SearchOptions;
import io.github.sparsevdit.search.capture.CalibrationSource;
import java.nio.file.Path;
import java.util.Locale;

/** A search with its progress shown. */
final class SearchRun {
  private static final int PARTS = 1000;
  private static final int COST_ROUNDS = 7;

  private SearchRun() {}

  /**
   * Measures the candidates.
   *
   * @param measuredCost whether what heads cost is timed first
   * @param resume where to keep what was found; null for nowhere
   */
  static Findings measure(
      Console console,
      Backend backend,
      CalibrationSource points,
      boolean measuredCost,
      SearchOptions options,
      Path resume) {
    SearchOptions priced = options;
    if (measuredCost) {
      CostModel model = kept(console, resume);
      if (model == null) {
        console.err().println("search: timing some plans for the cost model");
        model =
            CostMeasurement.measure(
                backend,
                points.sequence(),
                points.type(),
                points.model().headDim(),
                points.model().heads(),
                options.block(),
                COST_ROUNDS);
      }
      console
          .err()
          .printf(
              Locale.ROOT,
              "search: the cost model is within %.1f %% of other plans' times%n",
              100 * model.heldOutError());
      priced = options.withCost(model);
    }
    OfflineSearch search = new OfflineSearch(backend, priced);
    if (resume != null) {
      search.checkpoint(resume);
    }
    // It stops before its next point and keeps what it has.
    try (StopOnInterrupt stop = new StopOnInterrupt(search::cancel);
        ProgressDisplay progress = new ProgressDisplay(console, "search", PARTS)) {
      search.listener(
          at -> {
            progress.note(at.stage().name().toLowerCase(Locale.ROOT));
            progress.reached(Math.round(PARTS * at.fraction()));
          });
      return search.measure(points);
    }
  }

  /** The measured costs a search that is resumed began with; null where there are none. */
  private static CostModel kept(Console console, Path resume) {
    CostModel kept = resume == null ? null : OfflineSearch.keptCost(resume);
    if (kept == null || !kept.name().equals("measured")) {
      return null;
    }
    console.err().println("search: the cost model is the one " + resume + " began with");
    return kept;
  }
}
