package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * Every candidate's error on every head, from which tables are made without measuring again: for
 * another λ, target or cost model, or with more dense steps.
 */
public final class Findings {
  private final SearchSetup setup;
  private final SearchState state;
  private final SearchOptions options;
  private final LayerScores[][] scores;
  private final Selector selector;

  Findings(SearchSetup setup, SearchState state) {
    this(setup, state, setup.options, score(setup, state));
  }

  private Findings(
      SearchSetup setup, SearchState state, SearchOptions options, LayerScores[][] scores) {
    this.setup = setup;
    this.state = state;
    this.options = options;
    this.scores = scores;
    this.selector = new Selector(setup, options, scores);
  }

  /** What tables are made for. */
  public SearchOptions options() {
    return options;
  }

  /** The patterns that were tried; errors are indexed by their place in it. */
  public List<Candidate> candidates() {
    return setup.candidates.all();
  }

  /** The model the points are of. */
  public ModelShape model() {
    return setup.model;
  }

  /** The sequence of every point. */
  public Sequence sequence() {
    return setup.sequence;
  }

  /** How many runs (prompts, seeds) the points are of. */
  public int samples() {
    return setup.samples;
  }

  /** First steps of the phases. */
  public List<Integer> phaseStarts() {
    return setup.phaseStarts;
  }

  /**
   * The same findings for other options.
   *
   * @throws IllegalArgumentException if the change needs another measurement: the other rule's
   *     error, another block, other phases, or fewer dense steps
   */
  public Findings with(SearchOptions changed) {
    require("rule", changed.rule().json(), options.rule().json());
    require("block", changed.block(), options.block());
    if (!changed.phaseStarts().equals(setup.options.phaseStarts())) {
      require("phases", changed.phaseStarts(), setup.phaseStarts);
    }
    require("share", changed.share(), setup.options.share());
    require("steps per phase", changed.stepsPerPhase(), setup.options.stepsPerPhase());
    require("seed", changed.seed(), setup.options.seed());
    if (changed.candidates() != null) {
      require("candidates", changed.candidates().describe(), setup.candidates.describe());
    }
    int least = setup.options.denseSteps();
    int most = setup.timesteps.size();
    if (changed.denseSteps() < least || changed.denseSteps() > most) {
      require("dense steps", changed.denseSteps(), "%d to %d".formatted(least, most));
    }
    return new Findings(setup, state, changed, scores);
  }

  /**
   * The same findings with each layer's error in each phase counted otherwise: 2 makes the search
   * twice as careful there.
   *
   * @param weights [phase][layer], each above 0
   */
  public Findings weighted(double[][] weights) {
    LayerScores[][] weighted = new LayerScores[scores.length][];
    for (int phase = 0; phase < scores.length; phase++) {
      weighted[phase] = new LayerScores[scores[phase].length];
      for (int layer = 0; layer < scores[phase].length; layer++) {
        LayerScores was = scores[phase][layer];
        double weight = weights[phase][layer];
        if (!(weight > 0)) {
          throw new IllegalArgumentException(
              "weight %s of phase %d, layer %d; above 0 expected".formatted(weight, phase, layer));
        }
        weighted[phase][layer] =
            was == null
                ? null
                : new LayerScores(was.candidates(), was.error(), was.density(), weight);
      }
    }
    return new Findings(setup, state, options, weighted);
  }

  /**
   * The same findings with each layer's error in each phase counted by what it does to a whole run:
   * for each phase and each layer a table that is sparse only there is tried. The options' target
   * (or λ) decides how sparse.
   *
   * @param run scores a table by a whole run, of prompts that are calibrated on
   */
  public Findings weighted(WholeRun run) {
    return weighted(new Sensitivity(setup, options, this, scores).measure(run));
  }

  /** Mean error of a candidate over the calibration points. */
  public double error(int phase, int layer, int head, int candidate) {
    return mean(state, state.cell(phase, layer, head, candidate));
  }

  /** Standard error of that mean; infinite where fewer than two points were seen. */
  public double standardError(int phase, int layer, int head, int candidate) {
    return standardError(state, state.cell(phase, layer, head, candidate));
  }

  /** Density of a candidate on a head. */
  public double density(int phase, int layer, int head, int candidate) {
    return scores[phase][layer].density()[head][candidate];
  }

  /** The pattern a candidate is on a head. */
  public Pattern pattern(int phase, int layer, int head, int candidate) {
    Candidate chosen = setup.candidates.all().get(candidate);
    int[] ranked =
        chosen.listed() == 0
            ? new int[0]
            : state.ranked(SearchState.order(chosen.order()), -1, phase, layer, head);
    return chosen.pattern(ranked);
  }

  /** Tables of every density, and what they cost in error. */
  public ParetoFront front() {
    return selector.front();
  }

  /**
   * The table the options ask for, of the whole model: heads that the source had no points of get
   * full attention.
   */
  public DispatchTable wholeTable() {
    return table().spread(setup.wholeModel, setup.heads);
  }

  /** The table the options ask for. */
  public DispatchTable table() {
    return new TableBuilder(setup, options, this).build(selector.select());
  }

  /**
   * The table the options ask for, with as many dense steps at the start as serve it best: more of
   * them leave less density to the others. Each number is tried on a whole run.
   *
   * @param denseSteps numbers to try; those that cannot reach the options' target are left out
   * @param run scores a table by a whole run
   * @throws IllegalArgumentException if none can reach it
   */
  public DispatchTable table(List<Integer> denseSteps, WholeRun run) {
    DispatchTable best = null;
    double highest = Double.NEGATIVE_INFINITY;
    IllegalArgumentException unreachable = null;
    for (int steps : denseSteps) {
      DispatchTable table;
      try {
        table = with(options.withDenseSteps(steps)).table();
      } catch (IllegalArgumentException e) {
        unreachable = e;
        continue;
      }
      double psnr = run.psnr(table);
      if (best == null || psnr > highest) {
        best = table;
        highest = psnr;
      }
    }
    if (best == null) {
      throw unreachable != null
          ? unreachable
          : new IllegalArgumentException("no number of dense steps to try");
    }
    return best;
  }

  Selection select() {
    return selector.select();
  }

  Selection select(double knob) {
    return selector.select(knob);
  }

  /**
   * Marks the heads whose best candidate is no better than the best of another mode by more than
   * twice the standard error of the difference.
   */
  void markUndecided() {
    Selection selection = selector.select();
    boolean paper = options.rule() == RuleName.PAPER;
    double lambda = paper ? options.lambda() : selection.knob();
    double full =
        paper ? selection.knob() : lambda; // the paper's full head is the one nothing gets below ε
    for (int phase = 0; phase < state.phases; phase++) {
      for (int layer = 0; layer < state.layers && selection.chosen()[phase] != null; layer++) {
        for (int head = 0; head < state.heads; head++) {
          int chosen = selection.chosen()[phase][layer][head];
          LayerScores layerScores = scores[phase][layer];
          int at = head;
          ToDoubleFunction<Integer> loss =
              i ->
                  i == Candidates.FULL
                      ? full
                      : layerScores.error()[at][i] + lambda * layerScores.density()[at][i];
          state.undecided[state.head(phase, layer, head)] =
              undecided(phase, layer, head, chosen, loss);
        }
      }
    }
  }

  private boolean undecided(
      int phase, int layer, int head, int chosen, ToDoubleFunction<Integer> loss) {
    Mode mode = candidates().get(chosen).mode();
    for (int rival = 0; rival < candidates().size(); rival++) {
      if (candidates().get(rival).mode() == mode) {
        continue;
      }
      double noise =
          Math.hypot(
              standardError(phase, layer, head, chosen), standardError(phase, layer, head, rival));
      if (loss.applyAsDouble(rival) - loss.applyAsDouble(chosen) <= 2 * noise) {
        return true;
      }
    }
    return false;
  }

  private static LayerScores[][] score(SearchSetup setup, SearchState state) {
    List<Candidate> candidates = setup.candidates.all();
    PatternDensity densities = new PatternDensity(setup.sequence, setup.options.block());
    double[] alike = new double[candidates.size()]; // of those that are the same for every head
    for (int i = 0; i < alike.length; i++) {
      alike[i] = candidates.get(i).listed() == 0 ? densities.of(candidates.get(i), new int[0]) : 0;
    }
    LayerScores[][] scores = new LayerScores[state.phases][state.layers];
    for (int phase = 0; phase < state.phases; phase++) {
      if (setup.phaseEnd(phase) <= setup.options.denseSteps()) {
        continue;
      }
      int at = phase;
      Arrays.parallelSetAll(
          scores[phase], layer -> score(setup, state, densities, alike, at, layer));
    }
    return scores;
  }

  private static LayerScores score(
      SearchSetup setup,
      SearchState state,
      PatternDensity densities,
      double[] alike,
      int phase,
      int layer) {
    List<Candidate> candidates = setup.candidates.all();
    double[][] error = new double[state.heads][candidates.size()];
    double[][] density = new double[state.heads][candidates.size()];
    for (int head = 0; head < state.heads; head++) {
      int[][] ranked = new int[SearchState.ORDERS][];
      for (int i = 0; i < candidates.size(); i++) {
        Candidate candidate = candidates.get(i);
        error[head][i] =
            setup.hasLayer(layer) || i == Candidates.FULL
                ? mean(state, state.cell(phase, layer, head, i))
                : Double.POSITIVE_INFINITY; // nothing is known: full attention
        density[head][i] = alike[i];
        if (candidate.listed() > 0) {
          int order = SearchState.order(candidate.order());
          if (ranked[order] == null) {
            ranked[order] = state.ranked(order, -1, phase, layer, head);
          }
          density[head][i] = densities.of(candidate, ranked[order]);
        }
      }
    }
    return new LayerScores(candidates, error, density, 1);
  }

  private static double mean(SearchState state, int cell) {
    if (cell % state.candidates == Candidates.FULL) {
      return 0;
    }
    if (state.count[cell] == 0) {
      throw new IllegalArgumentException(
          "the source yields no point of phase %d, layer %d: it cannot be searched"
              .formatted(
                  cell / state.candidates / state.heads / state.layers,
                  cell / state.candidates / state.heads % state.layers));
    }
    return state.sum[cell] / state.count[cell];
  }

  private static double standardError(SearchState state, int cell) {
    if (cell % state.candidates == Candidates.FULL) {
      return 0;
    }
    double n = state.count[cell];
    double mean = state.sum[cell] / n;
    double variance = Math.max(0, state.sumOfSquares[cell] / n - mean * mean);
    return n < 2 ? Double.POSITIVE_INFINITY : Math.sqrt(variance / (n - 1));
  }

  private static void require(String what, Object value, Object measured) {
    if (!value.equals(measured)) {
      throw new IllegalArgumentException(
          "%s %s needs another measurement; this one has %s".formatted(what, value, measured));
    }
  }
}
