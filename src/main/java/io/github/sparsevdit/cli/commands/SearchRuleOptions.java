package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.search.RuleName;
import io.github.sparsevdit.search.SearchOptions;
import java.util.List;
import picocli.CommandLine.Option;

/**
 * What a search is asked for, as options; what is not given stays as {@link SearchOptions#defaults}
 * has it.
 */
final class SearchRuleOptions {
  @Option(
      names = "--rule",
      paramLabel = "RULE",
      description = {
        "lagrangian (default): each head takes what has the least error + lambda x cost, full"
            + " included;",
        "paper: the least mean squared error + lambda x density of the sparse modes, full where all"
            + " of them exceed epsilon."
      })
  String rule;

  @Option(
      names = "--lambda",
      paramLabel = "L",
      description = "What a unit of cost is worth in units of error (default: 0.5).")
  Double lambda;

  @Option(
      names = "--epsilon",
      paramLabel = "E",
      description = "The paper rule's threshold (default: 1).")
  Double epsilon;

  @Option(
      names = "--target-density",
      paramLabel = "D",
      description =
          "Find lambda (epsilon) such that a run's density, dense steps counted, is at most D.")
  Double targetDensity;

  @Option(
      names = "--target-speedup",
      paramLabel = "X",
      description =
          "Find lambda (epsilon) such that attention is X times as fast by the cost model.")
  Double targetSpeedup;

  @Option(
      names = "--max-error",
      paramLabel = "E",
      description = "No head may disturb more than this share of its layer's output.")
  Double maxError;

  @Option(
      names = "--cost",
      paramLabel = "COST",
      description =
          "What a head costs: sparsity (its density) or measured (timed here first)"
              + " (default: sparsity).")
  Cost cost;

  @Option(
      names = "--block",
      paramLabel = "N",
      description = "Tokens per block: 128, 64, and on the CPU 32 and 16 (default: 128).")
  Integer block;

  @Option(
      names = "--phases",
      paramLabel = "STEP",
      split = ",",
      description =
          "First steps of the phases that get patterns of their own (default: 0 and the steps at"
              + " 5, 15, 40 and 70 %%).")
  List<Integer> phases = List.of();

  @Option(
      names = "--dense-steps",
      paramLabel = "N",
      description = "Steps at the start that stay dense (default: 0).")
  Integer denseSteps;

  @Option(
      names = "--share",
      paramLabel = "S",
      description = "Share of the query blocks that candidates are scored on (default: 0.25).")
  Double share;

  /** Whether costs are to be timed. */
  boolean measuresCost() {
    return cost == Cost.MEASURED;
  }

  /** The choices of --cost. */
  enum Cost {
    SPARSITY,
    MEASURED
  }

  /**
   * The options but the cost model, which wants a backend; IllegalArgumentException names a wrong
   * one.
   */
  SearchOptions options() {
    return over(SearchOptions.defaults());
  }

  /** Those of a search that was done, changed where an option is given. */
  SearchOptions options(SearchOptions done) {
    boolean paper = done.rule() == RuleName.PAPER;
    // What is given in place of a target is no longer to be found for it.
    boolean knob = (paper ? epsilon : lambda) != null;
    return over(knob ? done.withTargetDensity(Double.NaN) : done);
  }

  private SearchOptions over(SearchOptions options) {
    options = phases.isEmpty() ? options : options.withPhaseStarts(phases);
    options = rule == null ? options : options.withRule(RuleName.ofJson(rule));
    options = lambda == null ? options : options.withLambda(lambda);
    options = epsilon == null ? options : options.withEpsilon(epsilon);
    options = maxError == null ? options : options.withMaxError(maxError);
    options = block == null ? options : options.withBlock(block);
    options = denseSteps == null ? options : options.withDenseSteps(denseSteps);
    options = share == null ? options : options.withShare(share);
    options = targetDensity == null ? options : options.withTargetDensity(targetDensity);
    return targetSpeedup == null ? options : options.withTargetSpeedup(targetSpeedup);
  }
}
