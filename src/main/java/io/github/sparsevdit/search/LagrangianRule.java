package io.github.sparsevdit.search;

import io.github.sparsevdit.search.Candidate.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

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
    List<Candidate> candidates = layer.candidates();
    List<Kind> kinds = new ArrayList<>();
    int[] kindOf = new int[candidates.size()];
    for (int i = 0; i < kindOf.length; i++) {
      Kind kind = candidates.get(i).kind();
      if (!kinds.contains(kind)) {
        kinds.add(kind);
      }
      kindOf[i] = kinds.indexOf(kind);
    }
    int[][] best = new int[layer.heads()][kinds.size()];
    for (int head = 0; head < best.length; head++) {
      Arrays.fill(best[head], -1);
      for (int i = 0; i < kindOf.length; i++) {
        if (layer.error()[head][i] > maxError) {
          continue;
        }
        int rival = best[head][kindOf[i]];
        if (rival < 0 || better(layer, cost, head, i, rival)) {
          best[head][kindOf[i]] = i;
        }
      }
    }
    int[] chosen = null;
    double least = Double.POSITIVE_INFINITY;
    double leastCost = Double.POSITIVE_INFINITY;
    for (int set = 1; set < 1 << kinds.size(); set++) {
      int[] trial = new int[layer.heads()];
      double total = 0;
      double price = 0;
      int used = 0;
      boolean possible = true;
      for (int head = 0; head < trial.length && possible; head++) {
        int pick = -1;
        for (int kind = 0; kind < kinds.size(); kind++) {
          int i = best[head][kind];
          if ((set >> kind & 1) == 1
              && i >= 0
              && (pick < 0 || better(layer, cost, head, i, pick))) {
            pick = i;
          }
        }
        possible = pick >= 0;
        if (possible) {
          trial[head] = pick;
          used |= 1 << kindOf[pick];
          total += layer.weight() * layer.error()[head][pick];
          price += cost.head(candidates.get(pick), layer.density()[head][pick]);
        }
      }
      if (!possible
          || used != set) { // a smaller set is the same choice with fewer groups to pay for
        continue;
      }
      for (int kind = 0; kind < kinds.size(); kind++) {
        price += (set >> kind & 1) == 1 ? cost.group(kinds.get(kind)) : 0;
      }
      total += lambda * price;
      if (total < least || total == least && price < leastCost) {
        least = total;
        leastCost = price;
        chosen = trial;
      }
    }
    return chosen;
  }

  private boolean better(LayerScores layer, CostModel cost, int head, int i, int rival) {
    double price = cost.head(layer.candidates().get(i), layer.density()[head][i]);
    double rivalPrice = cost.head(layer.candidates().get(rival), layer.density()[head][rival]);
    double loss = layer.weight() * layer.error()[head][i] + lambda * price;
    double rivalLoss = layer.weight() * layer.error()[head][rival] + lambda * rivalPrice;
    return loss < rivalLoss || loss == rivalLoss && price < rivalPrice;
  }
}
