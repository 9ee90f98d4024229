package io.github.sparsevdit.search;

import java.util.List;

/** What a search is asked for. Immutable: each {@code with} gives a changed copy. */
public final class SearchOptions {
  private static final SearchOptions DEFAULTS = new SearchOptions();

  private RuleName rule = RuleName.LAGRANGIAN;
  private double lambda = 0.5;
  private double epsilon = 1;
  private double maxError = Double.POSITIVE_INFINITY;
  private double targetDensity = Double.NaN;
  private double targetSpeedup = Double.NaN;
  private CostModel cost = CostModel.SPARSITY;
  private Candidates candidates = null;
  private int block = 128;
  private List<Integer> phaseStarts = List.of();
  private int denseSteps = 0;
  private int stepsPerPhase = 4;
  private double share = 0.25;
  private boolean refine = true;
  private long seed = 1;

  private SearchOptions() {}

  private SearchOptions(SearchOptions from) {
    rule = from.rule;
    lambda = from.lambda;
    epsilon = from.epsilon;
    maxError = from.maxError;
    targetDensity = from.targetDensity;
    targetSpeedup = from.targetSpeedup;
    cost = from.cost;
    candidates = from.candidates;
    block = from.block;
    phaseStarts = from.phaseStarts;
    denseSteps = from.denseSteps;
    stepsPerPhase = from.stepsPerPhase;
    share = from.share;
    refine = from.refine;
    seed = from.seed;
  }

  /**
   * λ 0.5 and ε 1 as in the paper, cost 1 − S, block 128, a quarter of the query blocks, no target.
   */
  public static SearchOptions defaults() {
    return DEFAULTS;
  }

  /** Phases that are short where the video takes shape: from steps 0, 5 %, 15 %, 40 % and 70 %. */
  public static List<Integer> standardPhases(int steps) {
    return List.of(0, steps / 20, steps * 3 / 20, steps * 2 / 5, steps * 7 / 10).stream()
        .distinct()
        .toList();
  }

  /** How a head finds its candidate. */
  public RuleName rule() {
    return rule;
  }

  /** A copy with another {@link #rule}. */
  public SearchOptions withRule(RuleName value) {
    SearchOptions copy = new SearchOptions(this);
    copy.rule = value;
    return copy;
  }

  /** What a unit of cost is worth in units of error; the paper's default. */
  public double lambda() {
    return lambda;
  }

  /** A copy with another {@link #lambda}. */
  public SearchOptions withLambda(double value) {
    require(value >= 0, "lambda", value, "at least 0");
    SearchOptions copy = new SearchOptions(this);
    copy.lambda = value;
    return copy;
  }

  /** The paper rule's ε; the paper's default. */
  public double epsilon() {
    return epsilon;
  }

  /** A copy with another {@link #epsilon}. */
  public SearchOptions withEpsilon(double value) {
    require(value >= 0, "epsilon", value, "at least 0");
    SearchOptions copy = new SearchOptions(this);
    copy.epsilon = value;
    return copy;
  }

  /** Candidates with a larger error are out (lagrangian). */
  public double maxError() {
    return maxError;
  }

  /** A copy with another {@link #maxError}. */
  public SearchOptions withMaxError(double value) {
    require(value >= 0, "max error", value, "at least 0");
    SearchOptions copy = new SearchOptions(this);
    copy.maxError = value;
    return copy;
  }

  /**
   * What the density of the whole run, dense steps counted, must not exceed; NaN for none. λ (under
   * the paper's rule ε) is then found by bisection.
   */
  public double targetDensity() {
    return targetDensity;
  }

  /** A copy with another {@link #targetDensity}. */
  public SearchOptions withTargetDensity(double value) {
    require(Double.isNaN(value) || value > 0 && value <= 1, "target density", value, "in (0, 1]");
    SearchOptions copy = new SearchOptions(this);
    copy.targetSpeedup = Double.NaN;
    copy.targetDensity = value;
    return copy;
  }

  /**
   * The speed-up of attention that must be reached by the cost model; NaN for none. Found as the
   * target density is.
   */
  public double targetSpeedup() {
    return targetSpeedup;
  }

  /** A copy with another {@link #targetSpeedup}. */
  public SearchOptions withTargetSpeedup(double value) {
    require(Double.isNaN(value) || value >= 1, "target speed-up", value, "at least 1");
    SearchOptions copy = new SearchOptions(this);
    copy.targetDensity = Double.NaN;
    copy.targetSpeedup = value;
    return copy;
  }

  /** What a head costs. */
  public CostModel cost() {
    return cost;
  }

  /** A copy with another {@link #cost}. */
  public SearchOptions withCost(CostModel value) {
    SearchOptions copy = new SearchOptions(this);
    copy.cost = value;
    return copy;
  }

  /**
   * What is tried; null for {@link Candidates#standard}, under the paper's rule {@link
   * Candidates#paper}.
   */
  public Candidates candidates() {
    return candidates;
  }

  /** A copy with another {@link #candidates}. */
  public SearchOptions withCandidates(Candidates value) {
    SearchOptions copy = new SearchOptions(this);
    copy.candidates = value;
    return copy;
  }

  /** Tokens per block. */
  public int block() {
    return block;
  }

  /** A copy with another {@link #block}. */
  public SearchOptions withBlock(int value) {
    require(value >= 1, "block", value, "at least 1");
    SearchOptions copy = new SearchOptions(this);
    copy.block = value;
    return copy;
  }

  /**
   * First steps of the phases, ascending from 0; each phase is searched apart. Empty for {@link
   * #standardPhases}. Where a source says that another network takes over, one more begins.
   */
  public List<Integer> phaseStarts() {
    return phaseStarts;
  }

  /** A copy with another {@link #phaseStarts}. */
  public SearchOptions withPhaseStarts(List<Integer> value) {
    int previous = -1;
    for (int start : value) {
      require(
          previous < 0 ? start == 0 : start > previous, "phase start", start, "ascending from 0");
      previous = start;
    }
    SearchOptions copy = new SearchOptions(this);
    copy.phaseStarts = List.copyOf(value);
    return copy;
  }

  /** Steps at the start that stay dense. */
  public int denseSteps() {
    return denseSteps;
  }

  /** A copy with another {@link #denseSteps}. */
  public SearchOptions withDenseSteps(int value) {
    require(value >= 0, "dense steps", value, "at least 0");
    SearchOptions copy = new SearchOptions(this);
    copy.denseSteps = value;
    return copy;
  }

  /** How many steps of each phase are looked at, evenly spread; all where the phase is shorter. */
  public int stepsPerPhase() {
    return stepsPerPhase;
  }

  /** A copy with another {@link #stepsPerPhase}. */
  public SearchOptions withStepsPerPhase(int value) {
    require(value >= 1, "steps per phase", value, "at least 1");
    SearchOptions copy = new SearchOptions(this);
    copy.stepsPerPhase = value;
    return copy;
  }

  /** Share of the query blocks on which candidates are scored. */
  public double share() {
    return share;
  }

  /** A copy with another {@link #share}. */
  public SearchOptions withShare(double value) {
    require(value > 0 && value <= 1, "share", value, "in (0, 1]");
    SearchOptions copy = new SearchOptions(this);
    copy.share = value;
    return copy;
  }

  /** Whether heads that are undecided get as many query blocks again. */
  public boolean refine() {
    return refine;
  }

  /** A copy with another {@link #refine}. */
  public SearchOptions withRefine(boolean value) {
    SearchOptions copy = new SearchOptions(this);
    copy.refine = value;
    return copy;
  }

  /** What the sampled query blocks depend on. */
  public long seed() {
    return seed;
  }

  /** A copy with another {@link #seed}. */
  public SearchOptions withSeed(long value) {
    SearchOptions copy = new SearchOptions(this);
    copy.seed = value;
    return copy;
  }

  /** The options that decide what is measured; the others can be changed afterwards. */
  String measured() {
    return "projected %s, block %d, share %s, refine %s, seed %d%s"
        .formatted(
            rule == RuleName.LAGRANGIAN,
            block,
            share,
            refine,
            seed,
            refine
                // What decides which heads are undecided.
                ? ", rule %s, lambda %s, epsilon %s, max error %s, targets %s %s, dense steps %d, %s"
                    .formatted(
                        rule,
                        lambda,
                        epsilon,
                        maxError,
                        targetDensity,
                        targetSpeedup,
                        denseSteps,
                        cost)
                : "");
  }

  private static void require(boolean holds, String what, Object value, String expected) {
    if (!holds) {
      throw new IllegalArgumentException("%s %s; expected %s".formatted(what, value, expected));
    }
  }
}
