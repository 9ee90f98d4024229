package io.github.sparsevdit.search;

import java.util.Arrays;

/**
 * The least {@code error + λ · cost} of the layer, FULL among the candidates with error 0. What
 * launching a group costs is paid once per layer however many heads are in it, which ties the heads
 * together; there are few kinds of groups, so every set of them is tried and each head takes its
 * best within the set. Cost never rises with λ.
 *
 * @param lambda λ, at least 0
 * @param maxError candidates with a larger error are out; FULL never is
 */
record LagrangianRule(double lambda, double maxError) implements Rule {
  @Override
  public int[] choose(LayerScores layer, CostModel cost) {
    Head[] heads = new Head[layer.heads()];
    for (int head = 0; head < heads.length; head++) {
      heads[head] = new Head(layer, head, cost);
    }
    int kinds = layer.kinds().size();
    double[] launch = layer.kinds().stream().mapToDouble(cost::group).toArray();
    int chosen = 0;
    double least = Double.POSITIVE_INFINITY;
    double leastCost = Double.POSITIVE_INFINITY;
    for (int set = 1; set < 1 << kinds; set++) {
      double total = 0;
      double price = 0;
      int used = 0;
      int head = 0;
      for (; head < heads.length; head++) {
        int kind = heads[head].best(set);
        if (kind < 0) {
          break;
        }
        used |= 1 << kind;
        total += heads[head].harm[kind];
        price += heads[head].price[kind];
      }
      if (head < heads.length
          || used != set) { // a smaller set is the same choice with fewer groups to pay for
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

  /** A head's best candidate of each kind. Rules are tried by the hundred, so in plain arrays. */
  private final class Head {
    private final int[] candidate; // per kind; −1 for none
    private final double[] harm; // error, weighted
    private final double[] price;
    private final double[] loss;
    private final int[] order; // kinds, the best first
    private int there; // how many have a candidate

    Head(LayerScores layer, int head, CostModel cost) {
      int kinds = layer.kinds().size();
      candidate = new int[kinds];
      harm = new double[kinds];
      price = new double[kinds];
      loss = new double[kinds];
      order = new int[kinds];
      Arrays.fill(candidate, -1);
      double[] error = layer.error()[head];
      double[] prices = layer.prices(cost)[head];
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
      for (int kind = 0; kind < kinds; kind++) {
        if (candidate[kind] >= 0) {
          int at = there++;
          for (; at > 0 && beats(loss[kind], price[kind], order[at - 1]); at--) {
            order[at] = order[at - 1];
          }
          order[at] = kind;
        }
      }
    }

    private boolean beats(double itsLoss, double itsPrice, int kind) {
      return itsLoss < loss[kind] || itsLoss == loss[kind] && itsPrice < price[kind];
    }

    /** The best kind of a set of them; −1 where the head has no candidate of any. */
    int best(int set) {
      for (int i = 0; i < there; i++) {
        if ((set >> order[i] & 1) == 1) {
          return order[i];
        }
      }
      return -1;
    }
  }
}
