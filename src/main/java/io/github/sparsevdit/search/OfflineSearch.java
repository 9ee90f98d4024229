package io.github.sparsevdit.search;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.NotFiniteException;
import io.github.sparsevdit.internal.SearchEvent;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.table.DispatchTable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * The offline sparse diffusion search (Sparse-vDiT, section 3): finds the pattern of every head
 * from calibration points. All windows of a mode are scored by one pass over the keys, so at most
 * {@link Candidates#MAX_PASSES_PER_MODE} dense passes over the sampled query blocks are run per
 * mode and stage. One search at a time may use an instance; {@link #cancel} may be called from any
 * thread.
 */
public final class OfflineSearch {
  private static final Duration CHECKPOINT_EVERY = Duration.ofSeconds(30);

  private final SearchOptions options;
  private final String arithmetic; // of the backend that computes
  private final Function<SearchSetup, Sweeper> sweepers;
  private Consumer<SearchProgress> listener = progress -> {};
  private Path checkpoint;
  private Duration checkpointEvery = CHECKPOINT_EVERY;
  private volatile boolean cancelled;

  /** A search that computes on {@code backend}, which must be where the source's tensors are. */
  public OfflineSearch(Backend backend, SearchOptions options) {
    this(options, backend.arithmetic(), setup -> Sweeper.on(backend, setup));
  }

  OfflineSearch(SearchOptions options, String arithmetic, Function<SearchSetup, Sweeper> sweepers) {
    this.options = options;
    this.arithmetic = arithmetic;
    this.sweepers = sweepers;
  }

  /** Calls {@code listener} after every point, on the searching thread. */
  public OfflineSearch listener(Consumer<SearchProgress> value) {
    this.listener = value;
    return this;
  }

  /**
   * Saves what is found to {@code file}, about twice a minute and when cancelled, and resumes from
   * it if it exists. A resumed search gives the same bits as one that was never interrupted, even
   * if it ended in the middle of a write. Only what is new is written, in the background; where
   * that fails, the search ends with an UncheckedIOException at its next checkpoint. The file stays
   * when the search is done: the next search of the same source and options is then immediate.
   */
  public OfflineSearch checkpoint(Path file) {
    this.checkpoint = file;
    return this;
  }

  /**
   * What a finished search left in its checkpoint: tables for other targets, λ or ε take seconds,
   * and neither backend nor source.
   *
   * @throws IllegalArgumentException if the file is no checkpoint, is cut short or damaged, or its
   *     search is not finished
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static Findings findings(Path checkpoint) {
    AtomicReference<SearchSetup> setup = new AtomicReference<>();
    SearchState state =
        SearchLog.readOnly(
            checkpoint,
            search -> {
              setup.set(SearchSetup.of(search));
              return setup.get().nothingYet();
            });
    SearchStage[] stages = SearchStage.values();
    if (state.stage < stages.length) {
      throw new IllegalArgumentException(
          "the search of %s is not finished: it is in stage %d of %d (%s), with %d points of it done; resume it first"
              .formatted(
                  checkpoint,
                  state.stage + 1,
                  stages.length,
                  stages[state.stage].name().toLowerCase(Locale.ROOT),
                  state.done.size()));
    }
    return new Findings(setup.get(), state);
  }

  /**
   * The costs of an unfinished search, from its checkpoint. If they were measured again, they would
   * differ, and so would the search.
   *
   * @return null where there is no such file
   * @throws IllegalArgumentException if the file is no checkpoint
   */
  public static CostModel keptCost(Path checkpoint) {
    return Files.exists(checkpoint) ? SearchLog.readCost(checkpoint) : null;
  }

  OfflineSearch checkpointEvery(Duration value) {
    this.checkpointEvery = value;
    return this;
  }

  /**
   * Stops the search before its next point, with a CancellationException. Its checkpoint is
   * written.
   */
  public void cancel() {
    cancelled = true;
  }

  /** Measures the candidates and makes the table the options ask for. */
  public DispatchTable run(CalibrationSource source) {
    return measure(source).table();
  }

  /**
   * Measures the candidates.
   *
   * @throws CancellationException if cancelled
   * @throws NotFiniteException if a point's Q, K, V, or what is computed from them, are not finite;
   *     earlier findings are in the checkpoint
   * @throws IllegalArgumentException if source and options do not fit each other, a point does not
   *     fit the source, or the checkpoint is damaged or another search's
   * @throws java.io.UncheckedIOException if the checkpoint cannot be read or written
   */
  public Findings measure(CalibrationSource source) {
    SearchSetup setup = new SearchSetup(source, options, arithmetic);
    SearchEvent event = new SearchEvent();
    event.begin();
    try {
      Findings findings = measure(source, setup);
      event.finished = true;
      return findings;
    } finally {
      event.end();
      if (event.shouldCommit()) {
        event.model = setup.model.name();
        event.sequence = setup.sequence.toString();
        event.samples = setup.samples;
        event.candidates = setup.candidates.all().size();
        event.commit();
      }
    }
  }

  private Findings measure(CalibrationSource source, SearchSetup setup) {
    SearchState state = setup.nothingYet();
    try (SearchLog log =
            checkpoint == null ? null : SearchLog.open(checkpoint, setup.describe(), state);
        Sweeper sweeper = sweepers.apply(setup);
        PointScorer scorer = new PointScorer(setup, state, sweeper)) {
      ProgressCount progress = new ProgressCount(source, setup, state);
      while (state.stage < SearchStage.values().length) {
        SearchStage stage = SearchStage.values()[state.stage];
        if (setup.needs(stage)) {
          visit(source, new StageVisitor(this, setup, state, stage, scorer, progress, log));
        }
        state.endStage();
        if (state.stage == SearchStage.REFINE.ordinal() && setup.needs(SearchStage.REFINE)) {
          new Findings(setup, state).markUndecided();
        }
        if (log != null) {
          log.endStage(state);
        }
      }
      if (log != null) {
        log.finish(state);
      }
    }
    return new Findings(setup, state);
  }

  /** A visit that fails leaves what it found in the checkpoint. */
  private void visit(CalibrationSource source, StageVisitor visitor) {
    try {
      source.visit(visitor);
    } catch (RuntimeException | Error failure) {
      try {
        visitor.flush();
      } catch (RuntimeException second) {
        failure.addSuppressed(second);
      }
      throw failure;
    }
  }

  /** Inside a visit: throws CancellationException if cancelled. */
  void requireGoingOn() {
    if (cancelled) {
      throw new CancellationException(
          "the search was cancelled"
              + (checkpoint == null ? "" : "; it can resume from " + checkpoint));
    }
  }

  /** How long findings may wait for the checkpoint. */
  Duration checkpointEvery() {
    return checkpointEvery;
  }

  void tell(SearchProgress progress) {
    listener.accept(progress);
  }
}
