package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;

/**
 * The paper's rule to the letter (Sparse-vDiT, Eq. 2 and 3): with S_i the sparsity of candidate i,
 * {@code L_i = MSE(O_i, O_0) + λ(1 − S_i)} over the candidates that are not full; the head stays
 * full where every L_i exceeds ε, else it takes the least. 1 − S_i is the candidate's density, so λ
 * charges for what is computed; full itself is never charged, which is why ε and not λ is the knob.
 *
 * @param lambda λ
 * @param epsilon ε
 */
record PaperRule(double lambda, double epsilon) implements Rule {
  @Override
  public int[] choose(LayerScores layer, CostModel cost) {
    int[] chosen = new int[layer.heads()];
    for (int head = 0; head < chosen.length; head++) {
      int best = -1;
      double least = Double.POSITIVE_INFINITY;
      for (int i = 0; i < layer.candidates().size(); i++) {
        if (layer.candidates().get(i).mode() == Mode.FULL) {
          continue;
        }
        double sparsity = 1 - layer.density()[head][i];
        double loss = layer.error()[head][i] + lambda * (1 - sparsity);
        if (loss <= epsilon && loss < least) {
          least = loss;
          best = i;
        }
      }
      chosen[head] = Math.max(best, 0); // 0 is FULL
    }
    return chosen;
  }
}
