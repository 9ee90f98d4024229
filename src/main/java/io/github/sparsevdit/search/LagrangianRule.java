package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.search.Candidate.Kind;
import java.util.ArrayList;
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
    double[] fixed = new double[kindOf.length]; // NaN where the candidate costs nothing at all
    for (int i = 0; i < kindOf.length; i++) {
      boolean skip = candidates.get(i).mode() == Mode.SKIP;
      fixed[i] = skip ? Double.NaN : cost.fixed(candidates.get(i));
    }
    Best[][] best = new Best[layer.heads()][kinds.size()];
    for (int head = 0; head < best.length; head++) {
      double[] error = layer.error()[head];
      double[] density = layer.density()[head];
      for (int i = 0; i < kindOf.length; i++) {
        if (error[i] > maxError) {
          continue;
        }
        double harm = layer.weight() * error[i];
        double price = Double.isNaN(fixed[i]) ? 0 : fixed[i] + cost.perDensity() * density[i];
        Best rival = best[head][kindOf[i]];
        Best trial = new Best(i, harm, price, harm + lambda * price);
        if (rival == null || trial.beats(rival)) {
          best[head][kindOf[i]] = trial;
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
        Best pick = null;
        int pickKind = 0;
        for (int kind = 0; kind < kinds.size(); kind++) {
          Best rival = best[head][kind];
          if ((set >> kind & 1) == 1 && rival != null && (pick == null || rival.beats(pick))) {
            pick = rival;
            pickKind = kind;
          }
        }
        possible = pick != null;
        if (possible) {
          trial[head] = pick.candidate;
          used |= 1 << pickKind;
          total += pick.harm;
          price += pick.price;
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

  /**
   * A head's best candidate of a kind.
   *
   * @param harm its error, weighted
   */
  private record Best(int candidate, double harm, double price, double loss) {
    boolean beats(Best other) {
      return loss < other.loss || loss == other.loss && price < other.price;
    }
  }
}
