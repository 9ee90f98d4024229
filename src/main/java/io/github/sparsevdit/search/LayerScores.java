package io.github.sparsevdit.search;

import java.util.List;

/**
 * What a rule chooses from: one layer in one phase.
 *
 * @param candidates what was tried; the first is FULL
 * @param error per head and candidate, mean over the calibration points; FULL's is 0
 * @param density per head and candidate
 * @param weight what the layer's error counts in this phase, against other layers and phases; 1
 *     unless measured
 */
record LayerScores(
    List<Candidate> candidates, double[][] error, double[][] density, double weight) {
  int heads() {
    return error.length;
  }
}
