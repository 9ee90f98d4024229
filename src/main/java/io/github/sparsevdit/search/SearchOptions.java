package io.github.sparsevdit.search;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.function.Consumer;

/** What a search is asked for. Immutable: each {@code with} gives a changed copy. */
public final class SearchOptions implements Cloneable {
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
    return with(copy -> copy.rule = value);
  }

  /** What a unit of cost is worth in units of error; the paper's default. */
  public double lambda() {
    return lambda;
  }

  /** A copy with another {@link #lambda}. */
  public SearchOptions withLambda(double value) {
    require(value >= 0, "lambda", value, "at least 0");
    return with(copy -> copy.lambda = value);
  }

  /** The paper rule's ε; the paper's default. */
  public double epsilon() {
    return epsilon;
  }

  /** A copy with another {@link #epsilon}. */
  public SearchOptions withEpsilon(double value) {
    require(value >= 0, "epsilon", value, "at least 0");
    return with(copy -> copy.epsilon = value);
  }

  /** Candidates with a larger error are out (lagrangian). */
  public double maxError() {
    return maxError;
  }

  /** A copy with another {@link #maxError}. */
  public SearchOptions withMaxError(double value) {
    require(value >= 0, "max error", value, "at least 0");
    return with(copy -> copy.maxError = value);
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
    return with(
        copy -> {
          copy.targetSpeedup = Double.NaN;
          copy.targetDensity = value;
        });
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
    return with(
        copy -> {
          copy.targetDensity = Double.NaN;
          copy.targetSpeedup = value;
        });
  }

  /** What a head costs. */
  public CostModel cost() {
    return cost;
  }

  /** A copy with another {@link #cost}. */
  public SearchOptions withCost(CostModel value) {
    return with(copy -> copy.cost = value);
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
    return with(copy -> copy.candidates = value);
  }

  /** Tokens per block. */
  public int block() {
    return block;
  }

  /** A copy with another {@link #block}. */
  public SearchOptions withBlock(int value) {
    require(value >= 1, "block", value, "at least 1");
    return with(copy -> copy.block = value);
  }

  /**
   * First steps of the phases, ascending from 0; each phase is searched apart. Empty for {@link
   * #standardPhases}. Another phase begins where a source's next network takes over.
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
    return with(copy -> copy.phaseStarts = List.copyOf(value));
  }

  /** Steps at the start that stay dense. */
  public int denseSteps() {
    return denseSteps;
  }

  /** A copy with another {@link #denseSteps}. */
  public SearchOptions withDenseSteps(int value) {
    require(value >= 0, "dense steps", value, "at least 0");
    return with(copy -> copy.denseSteps = value);
  }

  /** How many steps of each phase are sampled, evenly spread; all if the phase is shorter. */
  public int stepsPerPhase() {
    return stepsPerPhase;
  }

  /** A copy with another {@link #stepsPerPhase}. */
  public SearchOptions withStepsPerPhase(int value) {
    require(value >= 1, "steps per phase", value, "at least 1");
    return with(copy -> copy.stepsPerPhase = value);
  }

  /** Share of the query blocks on which candidates are scored. */
  public double share() {
    return share;
  }

  /** A copy with another {@link #share}. */
  public SearchOptions withShare(double value) {
    require(value > 0 && value <= 1, "share", value, "in (0, 1]");
    return with(copy -> copy.share = value);
  }

  /** Whether heads that are undecided get as many query blocks again. */
  public boolean refine() {
    return refine;
  }

  /** A copy with another {@link #refine}. */
  public SearchOptions withRefine(boolean value) {
    return with(copy -> copy.refine = value);
  }

  /** What the sampled query blocks depend on. */
  public long seed() {
    return seed;
  }

  /** A copy with another {@link #seed}. */
  public SearchOptions withSeed(long value) {
    return with(copy -> copy.seed = value);
  }

  private SearchOptions with(Consumer<SearchOptions> change) {
    try {
      SearchOptions copy = (SearchOptions) clone();
      change.accept(copy);
      return copy;
    } catch (CloneNotSupportedException e) {
      throw new AssertionError(e);
    }
  }

  /** Whether undecided heads are measured again: not where all query blocks were. */
  boolean refines() {
    return refine && share < 1;
  }

  /** Writes all but the cost model and the candidates. */
  void write(DataOutputStream out) throws IOException {
    out.writeUTF(rule.json());
    for (double value : new double[] {lambda, epsilon, maxError, targetDensity, targetSpeedup}) {
      out.writeDouble(value);
    }
    out.writeInt(block);
    StoredValues.writeInts(out, phaseStarts);
    out.writeInt(denseSteps);
    out.writeInt(stepsPerPhase);
    out.writeDouble(share);
    out.writeBoolean(refine);
    out.writeLong(seed);
  }

  /** What {@link #write} wrote. */
  static SearchOptions read(DataInputStream in) throws IOException {
    SearchOptions options = new SearchOptions();
    options.rule = RuleName.ofJson(in.readUTF());
    options.lambda = in.readDouble();
    options.epsilon = in.readDouble();
    options.maxError = in.readDouble();
    options.targetDensity = in.readDouble();
    options.targetSpeedup = in.readDouble();
    options.block = in.readInt();
    options.phaseStarts = StoredValues.readInts(in);
    options.denseSteps = in.readInt();
    options.stepsPerPhase = in.readInt();
    options.share = in.readDouble();
    options.refine = in.readBoolean();
    options.seed = in.readLong();
    return options;
  }

  /** The options that decide what is measured; the others can be changed afterwards. */
  String measured() {
    return "projected %s, block %d, share %s, refine %s, seed %d%s"
        .formatted(
            rule == RuleName.LAGRANGIAN,
            block,
            share,
            refines(),
            seed,
            refines()
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
