package io.github.sparsevdit.search;

import io.github.sparsevdit.search.Candidate.Kind;
import java.util.ArrayList;
import java.util.List;

/** What a rule chooses from: one layer in one phase. */
final class LayerScores {
  private final List<Candidate> candidates;
  private final double[][] error;
  private final double[][] density;
  private final double weight;
  private final List<Kind> kinds = new ArrayList<>();
  private final int[] kindOf; // per candidate, a place among the kinds
  private volatile Priced priced; // by the last cost model; null before one is asked for

  private record Priced(CostModel cost, double[][] prices) {}

  /**
   * @param candidates what was tried; the first is FULL
   * @param error per head and candidate, mean over the calibration points; FULL's is 0
   * @param density per head and candidate
   * @param weight what the layer's error counts in this phase, against other layers and phases; 1
   *     unless measured
   */
  LayerScores(List<Candidate> candidates, double[][] error, double[][] density, double weight) {
    this.candidates = candidates;
    this.error = error;
    this.density = density;
    this.weight = weight;
    kindOf = new int[candidates.size()];
    for (int i = 0; i < kindOf.length; i++) {
      Kind kind = candidates.get(i).kind();
      if (!kinds.contains(kind)) {
        kinds.add(kind);
      }
      kindOf[i] = kinds.indexOf(kind);
    }
  }

  List<Candidate> candidates() {
    return candidates;
  }

  double[][] error() {
    return error;
  }

  double[][] density() {
    return density;
  }

  double weight() {
    return weight;
  }

  int heads() {
    return error.length;
  }

  /** What each candidate costs on each head: computed once, though rules try hundreds of knobs. */
  double[][] prices(CostModel cost) {
    Priced last = priced;
    if (last == null || !last.cost.equals(cost)) {
      double[][] prices = new double[heads()][kindOf.length];
      for (int head = 0; head < prices.length; head++) {
        for (int i = 0; i < kindOf.length; i++) {
          prices[head][i] = cost.head(candidates.get(i), density[head][i]);
        }
      }
      last = new Priced(cost, prices);
      priced = last;
    }
    return last.prices;
  }

  /** The kinds of candidates there are. */
  List<Kind> kinds() {
    return kinds;
  }

  /** Where a candidate's kind stands among {@link #kinds}. */
  int kindOf(int candidate) {
    return kindOf[candidate];
  }
}
