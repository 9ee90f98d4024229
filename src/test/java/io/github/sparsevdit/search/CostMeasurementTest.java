package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class CostMeasurementTest {
  @Test
  void theFitFindsWhatTimesAreMadeOf() {
    double[] truth = {3e-5, 2e-5, 4e-5, 1e-3};
    Random random = new Random(8);
    double[][] terms = new double[20][];
    double[] times = new double[20];
    for (int i = 0; i < 20; i++) {
      int heads = 1 + random.nextInt(8);
      terms[i] =
          new double[] {
            1 + random.nextInt(4), heads, random.nextInt(heads + 1), heads * random.nextDouble()
          };
      for (int j = 0; j < 4; j++) {
        times[i] += truth[j] * terms[i][j];
      }
    }
    assertArrayEquals(truth, CostMeasurement.fit(terms, times), 1e-10);
    // A term that helps by being negative is left out instead.
    for (int i = 0; i < 20; i++) {
      times[i] -= 5e-5 * terms[i][2];
    }
    double[] fit = CostMeasurement.fit(terms, times);
    assertEquals(0, fit[2]);
    for (double term : fit) {
      assertTrue(term >= 0);
    }
  }

  @Test
  void anAllFullLayerCostsItsHeads() {
    CostModel cost = new CostModel("measured", 0.3, 0.1, 0.05, 0.85, "", 0, 0);
    Candidate diagonal = new Candidate(Mode.DIAGONAL, Order.FRAME_MAJOR, 5, 0);
    Candidate multi = new Candidate(Mode.MULTI_DIAGONAL, Order.TOKEN_MAJOR, 5, 0);
    List<Candidate> candidates = List.of(Candidate.FULL, Candidate.SKIP, diagonal, multi);
    double[][] density = new double[6][];
    java.util.Arrays.fill(density, new double[] {1, 0, 0.2, 0.4});
    LayerScores layer = new LayerScores(candidates, new double[6][4], density, 1);
    // perGroup + 6 (perHead + perDensity) = 6
    assertEquals(6, cost.layer(layer, new int[6]), 1e-12);
    assertEquals(0, cost.layer(layer, new int[] {1, 1, 1, 1, 1, 1}), 1e-12);
    assertEquals(
        0.3 + 2 * (0.1 + 0.85 * 0.2) + 0.3 + (0.1 + 0.05 + 0.85 * 0.4),
        cost.layer(layer, new int[] {2, 1, 2, 3, 1, 1}),
        1e-12);
    assertEquals(1.5, CostModel.SPARSITY.layer(layer, new int[] {2, 1, 2, 3, 3, 2}) + 0.1, 1e-12);
  }
}
