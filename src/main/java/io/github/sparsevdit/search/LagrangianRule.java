package io.github.sparsevdit.search;

import java.util.Arrays;

/**
 * The least {@code error + λ · cost} of the layer, FULL among the candidates with error 0. What
 * launching a group costs is paid once per layer however many heads are in it, which ties the heads
 * together; there are few kinds of groups, so every set of them that can be the best is tried, and
 * each head takes its best within the set. Cost never rises with λ.
 *
 * @param lambda λ, at least 0
 * @param maxError candidates with a larger error are out; FULL never is
 */
record LagrangianRule(double lambda, double maxError) implements Rule {
  private static final double BOUND_SLACK = 1e-9; // far above what rounding does to a sum

  @Override
  public int[] choose(LayerScores layer, CostModel cost) {
    double[][] prices = layer.prices(cost);
    Head[] heads = new Head[layer.heads()];
    int kinds = layer.kinds().size();
    double[] launch = new double[kinds];
    for (int kind = 0; kind < kinds; kind++) {
      launch[kind] = cost.group(layer.kinds().get(kind));
    }
    int free = 0; // what heads take where launching costs nothing
    double loss = 0;
    double[] without = new double[kinds]; // the least that heads lose where a kind is left out
    for (int head = 0; head < heads.length; head++) {
      heads[head] = new Head(layer, head, prices[head]);
      free |= 1 << heads[head].first;
      loss += heads[head].loss[heads[head].first];
      without[heads[head].first] += heads[head].gap;
    }
    double bound = loss + lambda * sum(launch, free);
    bound += BOUND_SLACK * Math.abs(bound);
    int chosen = 0;
    double least = Double.POSITIVE_INFINITY;
    double leastCost = Double.POSITIVE_INFINITY;
    for (int set = 1; set < 1 << kinds; set++) {
      boolean hopeless =
          (set & free) == free
              ? set != free
              : loss + sum(without, ~set) + lambda * sum(launch, set) > bound;
      if (hopeless) {
        continue;
      }
      double total = 0;
      double price = 0;
      int used = 0;
      for (int head = 0; head < heads.length && used >= 0; head++) {
        int kind = heads[head].best(set);
        if (kind < 0) {
          used = -1; // nothing in the set is for this head
        } else {
          used |= 1 << kind;
          total += heads[head].harm[kind];
          price += heads[head].price[kind];
        }
      }
      if (used != set) { // a smaller set is the same choice with fewer groups to pay for
        continue;
      }
      for (int kind = 0; kind < kinds; kind++) {
        price += (set >> kind & 1) == 1 ? launch[kind] : 0;
      }
      total += lambda * price;
      if (chosen == 0 || total < least || total == least && price < leastCost) {
        least = total;
        leastCost = price;
        chosen = set;
      }
    }
    int[] picks = new int[heads.length];
    for (int head = 0; head < picks.length; head++) {
      picks[head] = heads[head].candidate[heads[head].best(chosen)];
    }
    return picks;
  }

  /** Of the values whose index is in the set. */
  private static double sum(double[] values, int set) {
    double sum = 0;
    for (int i = 0; i < values.length; i++) {
      sum += (set >> i & 1) == 1 ? values[i] : 0;
    }
    return sum;
  }

  /** A head's best candidate of each kind. Rules are tried by the hundred, so in plain arrays. */
  private final class Head {
    private final int[] candidate; // per kind; −1 for none
    private final double[] harm; // error, weighted
    private final double[] price;
    private final double[] loss;
    private final int first; // the best kind of all
    private final double gap; // how much more the second best loses; infinite where there is none

    Head(LayerScores layer, int head, double[] prices) {
      int kinds = layer.kinds().size();
      candidate = new int[kinds];
      harm = new double[kinds];
      price = new double[kinds];
      loss = new double[kinds];
      Arrays.fill(candidate, -1);
      double[] error = layer.error()[head];
      for (int i = 0; i < error.length; i++) {
        if (error[i] > maxError) {
          continue;
        }
        double itsHarm = layer.weight() * error[i];
        double itsPrice = prices[i];
        double itsLoss = itsHarm + lambda * itsPrice;
        int kind = layer.kindOf(i);
        if (candidate[kind] < 0 || beats(itsLoss, itsPrice, kind)) {
          candidate[kind] = i;
          harm[kind] = itsHarm;
          price[kind] = itsPrice;
          loss[kind] = itsLoss;
        }
      }
      int all = (1 << kinds) - 1;
      first = best(all);
      int second = best(all & ~(1 << first));
      gap = second < 0 ? Double.POSITIVE_INFINITY : loss[second] - loss[first];
    }

    private boolean beats(double itsLoss, double itsPrice, int kind) {
      return itsLoss < loss[kind] || itsLoss == loss[kind] && itsPrice < price[kind];
    }

    /** The best kind of a set of them; −1 where the head has no candidate of any. */
    int best(int set) {
      int best = -1;
      for (int kind = 0; kind < candidate.length; kind++) {
        if ((set >> kind & 1) == 1
            && candidate[kind] >= 0
            && (best < 0 || beats(loss[kind], price[kind], best))) {
          best = kind;
        }
      }
      return best;
    }
  }
}
