package io.github.sparsevdit.search;

import java.util.function.BiPredicate;

/**
 * How much a unit of error matters in each phase and layer, measured by whole runs. A layer's share
 * of disturbed output says nothing of what later layers and steps make of it: a table that is
 * sparse in one phase (one layer) only, and dense elsewhere, is run, and its mean squared error
 * divided by its summed head errors. Phases and layers are taken to act independently, so phases +
 * layers runs suffice. The mean weight is 1.
 */
final class Sensitivity {
  private final SearchSetup setup;
  private final SearchOptions options;
  private final Findings findings;
  private final Selection selection;
  private final LayerScores[][] scores;

  Sensitivity(SearchSetup setup, SearchOptions options, Findings findings, LayerScores[][] scores) {
    this.setup = setup;
    this.options = options;
    this.findings = findings;
    this.selection = findings.select();
    this.scores = scores;
  }

  /** [phase][layer]. */
  double[][] measure(WholeRun run) {
    int phases = setup.phases();
    int layers = setup.model.layers();
    double[] ofPhase = new double[phases];
    for (int p = 0; p < phases; p++) {
      int phase = p;
      ofPhase[p] = ratio(run, (at, layer) -> at == phase, (at, layer) -> error(at, layer));
    }
    fill(ofPhase);
    double[] ofLayer = new double[layers];
    for (int l = 0; l < layers; l++) {
      int layer = l;
      ofLayer[l] =
          ratio(run, (phase, at) -> at == layer, (phase, at) -> ofPhase[phase] * error(phase, at));
    }
    fill(ofLayer);
    double[][] weights = new double[phases][layers];
    double sum = 0;
    for (int phase = 0; phase < phases; phase++) {
      for (int layer = 0; layer < layers; layer++) {
        weights[phase][layer] = ofPhase[phase] * ofLayer[layer];
        sum += weights[phase][layer];
      }
    }
    for (double[] phase : weights) {
      for (int layer = 0; layer < layers; layer++) {
        phase[layer] *= phases * layers / sum;
      }
    }
    return weights;
  }

  private interface Error {
    double of(int phase, int layer);
  }

  /**
   * Mean squared error of a run that is sparse only where asked, per unit of expected error; 0
   * where nothing is sparse.
   */
  private double ratio(WholeRun run, BiPredicate<Integer, Integer> sparse, Error error) {
    int[][][] chosen = new int[setup.phases()][][];
    double expected = 0;
    for (int phase = 0; phase < chosen.length; phase++) {
      if (selection.chosen()[phase] == null) {
        continue;
      }
      chosen[phase] = new int[setup.model.layers()][setup.model.heads()]; // all FULL
      for (int layer = 0; layer < setup.model.layers(); layer++) {
        if (sparse.test(phase, layer)) {
          chosen[phase][layer] = selection.chosen()[phase][layer];
          expected += error.of(phase, layer);
        }
      }
    }
    if (expected == 0) {
      return 0;
    }
    Selection only = new Selection(selection.knob(), chosen, Double.NaN, Double.NaN, Double.NaN);
    double psnr = run.psnr(new TableBuilder(setup, options, findings).build(only));
    return Math.pow(10, -psnr / 10) / expected;
  }

  private double error(int phase, int layer) {
    if (selection.chosen()[phase] == null) {
      return 0;
    }
    int steps =
        setup.phaseEnd(phase) - Math.max(setup.phaseStarts.get(phase), options.denseSteps());
    double sum = 0;
    for (int head = 0; head < setup.model.heads(); head++) {
      sum += scores[phase][layer].error()[head][selection.chosen()[phase][layer][head]];
    }
    return steps * sum;
  }

  /** Where nothing could be measured, the mean of the others. */
  private static void fill(double[] weights) {
    double sum = 0;
    int measured = 0;
    for (double weight : weights) {
      sum += weight;
      measured += weight > 0 ? 1 : 0;
    }
    for (int i = 0; i < weights.length; i++) {
      if (!(weights[i] > 0)) {
        weights[i] = measured == 0 ? 1 : sum / measured;
      }
    }
  }
}
