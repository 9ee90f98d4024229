package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class RulesTest {
  private static final List<Candidate> FIVE =
      List.of(
          Candidate.FULL,
          Candidate.SKIP,
          new Candidate(Mode.DIAGONAL, Order.FRAME_MAJOR, 0, 0),
          new Candidate(Mode.MULTI_DIAGONAL, Order.TOKEN_MAJOR, 0, 0),
          new Candidate(Mode.VERTICAL_STRIPE, Order.FRAME_MAJOR, 0, 1));
  private static final double[] DENSITY = {1, 0, 0.2, 0.3, 0.4};

  @Test
  void paperRuleByHand() {
    double[][] mse = {
      // full skip diagonal multi stripe: L at λ = 0.5 is 0, 0.90, 0.40, 0.55, 0.60
      {0, 0.90, 0.30, 0.40, 0.40},
      // 2.00, 1.30, 1.15, 1.40: all above ε = 1
      {0, 2.00, 1.20, 1.00, 1.20},
      // 0.10, 0.15, 0.20, 0.25: skip
      {0, 0.10, 0.05, 0.05, 0.05},
      // 3.00, 1.10, 1.00, 1.20: multi-diagonal, exactly at ε, which does not exceed it
      {0, 3.00, 1.00, 0.85, 1.00},
    };
    LayerScores layer = new LayerScores(FIVE, mse, repeat(DENSITY, 4), 1);
    assertArrayEquals(
        new int[] {2, 0, 1, 3}, new PaperRule(0.5, 1).choose(layer, CostModel.SPARSITY));
    // Without λ the least MSE wins; the first of equals.
    assertArrayEquals(
        new int[] {2, 3, 2, 3}, new PaperRule(0, 1).choose(layer, CostModel.SPARSITY));
    // Full is not charged, so a small ε keeps every head full whatever λ.
    assertArrayEquals(
        new int[] {0, 0, 0, 0}, new PaperRule(0, 0.04).choose(layer, CostModel.SPARSITY));
  }

  @Test
  void lagrangianRuleByHand() {
    double[][] error = {
      {0, 0.90, 0.30, 0.05, 0.60}, // λ = 0.1: 0.1, 0.90, 0.32, 0.08, 0.64
      {0, 0.50, 0.40, 0.30, 0.20}, // 0.1, …: full
      {0, 0.01, 0.00, 0.00, 0.00}, // 0.1, 0.01, 0.02, 0.03, 0.04: skip
    };
    LayerScores layer = new LayerScores(FIVE, error, repeat(DENSITY, 3), 1);
    assertArrayEquals(
        new int[] {3, 0, 1},
        new LagrangianRule(0.1, Double.POSITIVE_INFINITY).choose(layer, CostModel.SPARSITY));
    assertArrayEquals(
        new int[] {0, 0, 2}, new LagrangianRule(0.1, 0.005).choose(layer, CostModel.SPARSITY));
    assertArrayEquals(
        new int[] {1, 1, 1},
        new LagrangianRule(10, Double.POSITIVE_INFINITY).choose(layer, CostModel.SPARSITY));
    // Free of charge, what is exact and cheapest: a full head where nothing else is exact.
    assertArrayEquals(
        new int[] {0, 0, 2},
        new LagrangianRule(0, Double.POSITIVE_INFINITY).choose(layer, CostModel.SPARSITY));
  }

  /** A launch is paid for once, so a lone head in a mode of its own may not be worth it. */
  @Test
  void groupsArePaidForOnce() {
    double[][] error = {{0, 9, 0.00, 0.10, 9}, {0, 9, 0.10, 0.00, 9}, {0, 9, 0.00, 0.10, 9}};
    LayerScores layer =
        new LayerScores(FIVE, error, repeat(new double[] {1, 0, 0.2, 0.2, 0.2}, 3), 1);
    CostModel cheap = new CostModel("measured", 0.05, 0, 0, 1, "", 0, 0);
    CostModel dear = new CostModel("measured", 0.2, 0, 0, 1, "", 0, 0);
    LagrangianRule rule = new LagrangianRule(1, Double.POSITIVE_INFINITY);
    assertArrayEquals(new int[] {2, 3, 2}, rule.choose(layer, cheap));
    assertArrayEquals(new int[] {2, 2, 2}, rule.choose(layer, dear));
  }

  /** Against every assignment of candidates to heads, tried one by one. */
  @Test
  void lagrangianRuleIsOptimal() {
    Random random = new Random(11);
    for (int trial = 0; trial < 200; trial++) {
      LayerScores layer = randomLayer(random, 4);
      CostModel cost =
          new CostModel("measured", random.nextDouble() / 5, 0.02, 0.05, 0.9, "", 0, 0);
      double lambda = Math.pow(10, -2 + 3 * random.nextDouble());
      double least = Double.POSITIVE_INFINITY;
      for (int code = 0; code < 625; code++) {
        int[] picks = {code % 5, code / 5 % 5, code / 25 % 5, code / 125};
        least = Math.min(least, loss(layer, cost, lambda, picks));
      }
      int[] chosen = new LagrangianRule(lambda, Double.POSITIVE_INFINITY).choose(layer, cost);
      assertEquals(least, loss(layer, cost, lambda, chosen), 1e-12, "trial " + trial);
    }
  }

  /** Some heads may take little; the best of all combinations, still. */
  @Test
  void aMaxErrorLeavesTheBestOfTheRest() {
    Random random = new Random(11);
    for (int trial = 0; trial < 300; trial++) {
      LayerScores layer = randomLayer(random, 3);
      double lambda = Math.pow(10, random.nextDouble(-3, 1));
      double maxError = Math.pow(10, random.nextDouble(-3, 0));
      double group = random.nextInt(3) == 0 ? 0 : random.nextDouble() / 2;
      CostModel cost = new CostModel("measured", group, 0.02, 0.05, 0.9, "", 0, 0);
      double least = Double.POSITIVE_INFINITY;
      for (int all = 0; all < 125; all++) {
        int[] picks = {all % 5, all / 5 % 5, all / 25};
        boolean allowed = true;
        for (int head = 0; head < 3; head++) {
          allowed &= layer.error()[head][picks[head]] <= maxError;
        }
        least = allowed ? Math.min(least, loss(layer, cost, lambda, picks)) : least;
      }
      int[] chosen = new LagrangianRule(lambda, maxError).choose(layer, cost);
      for (int head = 0; head < 3; head++) {
        assertTrue(layer.error()[head][chosen[head]] <= maxError, "trial " + trial);
      }
      assertEquals(least, loss(layer, cost, lambda, chosen), 1e-12, "trial " + trial);
    }
  }

  @Test
  void costFallsAsLambdaRises() {
    Random random = new Random(5);
    for (int trial = 0; trial < 100; trial++) {
      LayerScores layer = randomLayer(random, 6);
      CostModel measured =
          new CostModel("measured", random.nextDouble() / 5, 0.02, 0.05, 0.9, "", 0, 0);
      for (CostModel cost : List.of(CostModel.SPARSITY, measured)) {
        double previous = Double.POSITIVE_INFINITY;
        for (double lambda = 1e-4; lambda < 1e3; lambda *= 1.3) {
          int[] chosen = new LagrangianRule(lambda, Double.POSITIVE_INFINITY).choose(layer, cost);
          double now = cost.layer(layer, chosen);
          assertTrue(now <= previous + 1e-12, "trial %d, λ %s".formatted(trial, lambda));
          previous = now;
        }
        assertEquals(0, previous, 1e-12); // in the end all are skipped
      }
    }
  }

  @Test
  void weightsMakeALayerDearer() {
    double[][] error = {{0, 9, 0.15, 9, 9}};
    double[][] density = {DENSITY};
    LagrangianRule rule = new LagrangianRule(0.2, Double.POSITIVE_INFINITY);
    assertArrayEquals(
        new int[] {2}, rule.choose(new LayerScores(FIVE, error, density, 1), CostModel.SPARSITY));
    assertArrayEquals(
        new int[] {0}, rule.choose(new LayerScores(FIVE, error, density, 2), CostModel.SPARSITY));
  }

  private static double loss(LayerScores layer, CostModel cost, double lambda, int[] picks) {
    double loss = lambda * cost.layer(layer, picks);
    for (int head = 0; head < picks.length; head++) {
      loss += layer.error()[head][picks[head]];
    }
    return loss;
  }

  private static LayerScores randomLayer(Random random, int heads) {
    double[][] error = new double[heads][5];
    double[][] density = new double[heads][];
    for (int head = 0; head < heads; head++) {
      density[head] =
          new double[] {
            1, 0, random.nextDouble(0.01, 1), random.nextDouble(0.01, 1), random.nextDouble(0.01, 1)
          };
      for (int i = 1; i < 5; i++) {
        error[head][i] = Math.pow(10, -3 * random.nextDouble());
      }
    }
    return new LayerScores(FIVE, error, density, 1);
  }

  private static double[][] repeat(double[] row, int times) {
    double[][] rows = new double[times][];
    java.util.Arrays.fill(rows, row);
    return rows;
  }
}
