package io.github.sparsevdit.search;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/**
 * Applies a rule to everything that was measured, at one knob or at the knob that reaches a target.
 */
final class Selector {
  private static final double LARGEST_KNOB = 1e12;
  private static final double SMALLEST_KNOB = 1e-9;
  private static final int BISECTIONS = 50;
  private static final double FRONT_FROM = 1e-6;
  private static final double LEAST_DENSITY = 0.01;
  private static final double FRONT_STEP = Math.pow(10, 0.125);

  private final SearchSetup setup;
  private final SearchOptions options;

  /** [phase][layer]; null for a phase that is dense throughout. */
  private final LayerScores[][] scores;

  Selector(SearchSetup setup, SearchOptions options, LayerScores[][] scores) {
    this.setup = setup;
    this.options = options;
    this.scores = scores;
  }

  /** At the options' target, or without one at their λ and ε. */
  Selection select() {
    if (!Double.isNaN(options.targetDensity())) {
      return reach(
          selection -> selection.density() <= options.targetDensity(),
          "density %s".formatted(options.targetDensity()));
    }
    if (!Double.isNaN(options.targetSpeedup())) {
      return reach(
          selection -> selection.speedup() >= options.targetSpeedup(),
          "speed-up %s".formatted(options.targetSpeedup()));
    }
    return select(options.rule() == RuleName.LAGRANGIAN ? options.lambda() : options.epsilon());
  }

  /** At one knob: λ of the lagrangian rule, ε of the paper's. */
  Selection select(double knob) {
    Rule rule =
        switch (options.rule()) {
          case LAGRANGIAN -> new LagrangianRule(knob, options.maxError());
          case PAPER -> new PaperRule(options.lambda(), knob);
        };
    int layers = setup.model.layers();
    int heads = setup.model.heads();
    int steps = setup.timesteps.size();
    int[][][] chosen = choose(rule);
    double density = 0;
    double error = 0;
    double cost = 0;
    for (int phase = 0; phase < setup.phases(); phase++) {
      int from = setup.phaseStarts.get(phase);
      int sparse = sparse(phase);
      int dense = setup.phaseEnd(phase) - from - Math.max(sparse, 0);
      density += (double) dense * layers;
      cost += (double) dense * layers * heads;
      if (sparse <= 0) {
        continue;
      }
      for (int layer = 0; layer < layers; layer++) {
        LayerScores scored = scores[phase][layer];
        int[] picks = chosen[phase][layer];
        double visible = 0;
        for (int head = 0; head < heads; head++) {
          visible += scored.density()[head][picks[head]];
          error += sparse * scored.error()[head][picks[head]];
        }
        density += sparse * visible / heads;
        cost += sparse * options.cost().layer(scored, picks);
      }
    }
    double calls = (double) steps * layers;
    return new Selection(knob, chosen, density / calls, error / calls, calls * heads / cost);
  }

  /** Steps of a phase that are not dense; not above 0 where it is dense throughout. */
  private int sparse(int phase) {
    return setup.phaseEnd(phase) - Math.max(setup.phaseStarts.get(phase), options.denseSteps());
  }

  /** Layers are chosen for independently, so by all processors: a target takes dozens of knobs. */
  private int[][][] choose(Rule rule) {
    int layers = setup.model.layers();
    int[][][] chosen = new int[setup.phases()][][];
    for (int phase = 0; phase < chosen.length; phase++) {
      chosen[phase] = sparse(phase) > 0 ? new int[layers][] : null;
    }
    IntStream.range(0, chosen.length * layers)
        .parallel()
        .filter(i -> chosen[i / layers] != null)
        .forEach(
            i ->
                chosen[i / layers][i % layers] =
                    rule.choose(scores[i / layers][i % layers], options.cost()));
    return chosen;
  }

  /**
   * The selection with the smallest knob that satisfies the target: density and cost fall as the
   * knob rises.
   */
  private Selection reach(Predicate<Selection> reached, String target) {
    Selection best = select(0);
    if (reached.test(best)) {
      return best;
    }
    double low = SMALLEST_KNOB;
    double high = SMALLEST_KNOB;
    do {
      low = high;
      high *= 10;
      best = select(high);
    } while (!reached.test(best) && high < LARGEST_KNOB);
    if (!reached.test(best)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s cannot be reached: the sparsest table has density %.3f and speed-up %.2f (%d of %d steps are dense, max error %s)",
              target,
              best.density(),
              best.speedup(),
              options.denseSteps(),
              setup.timesteps.size(),
              options.maxError()));
    }
    for (int i = 0; i < BISECTIONS; i++) {
      double middle = Math.sqrt(low * high);
      Selection trial = select(middle);
      if (reached.test(trial)) {
        high = middle;
        best = trial;
      } else {
        low = middle;
      }
    }
    return best;
  }

  ParetoFront front() {
    List<ParetoFront.Point> points = new ArrayList<>();
    for (double knob = FRONT_FROM; knob < LARGEST_KNOB; knob *= FRONT_STEP) {
      Selection selection = select(knob);
      if (selection.density() < LEAST_DENSITY) {
        break; // next to nothing is computed: of no use to anyone
      }
      ParetoFront.Point last = points.isEmpty() ? null : points.getLast();
      if (last != null && selection.density() >= last.density()) {
        continue;
      }
      while (!points.isEmpty() && points.getLast().error() >= selection.error()) {
        points.removeLast(); // beaten: denser, and no better
      }
      points.add(
          new ParetoFront.Point(knob, selection.density(), selection.error(), selection.speedup()));
    }
    return new ParetoFront(points);
  }
}
