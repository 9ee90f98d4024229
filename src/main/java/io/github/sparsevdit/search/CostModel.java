package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.search.Candidate.Kind;
import java.util.HashSet;
import java.util.Set;

/**
 * What a layer costs, in units of one head of a layer whose heads are all full: launch and tail per
 * group, what a head needs besides its visible blocks (its share of a launch; the permutation of K
 * and V where it is not in the stored order), and the visible blocks, which are proportional to
 * density. A layer whose heads are all full costs as many units as it has heads. Skipped heads cost
 * nothing but their group.
 *
 * @param name {@code sparsity} or {@code measured}
 * @param perGroup of each mode that a layer's heads use
 * @param perHead of each head that is not skipped
 * @param perPermutedHead on top, of each head whose blocks are not cut in the stored order
 * @param perDensity of all blocks being visible
 * @param device where it was measured; empty for {@code sparsity}
 * @param fitError largest relative error over the plans it was fitted to; 0 for {@code sparsity}
 * @param heldOutError the same over plans it was not fitted to
 */
public record CostModel(
    String name,
    double perGroup,
    double perHead,
    double perPermutedHead,
    double perDensity,
    String device,
    double fitError,
    double heldOutError) {
  /** A head costs its density: 1 − S. */
  public static final CostModel SPARSITY = new CostModel("sparsity", 0, 0, 0, 1, "", 0, 0);

  /** Of a head, its group aside. */
  double head(Candidate candidate, double density) {
    if (candidate.mode() == Mode.SKIP) {
      return 0;
    }
    return perHead
        + (candidate.order().equals(Order.FRAME_MAJOR) ? 0 : perPermutedHead)
        + perDensity * density;
  }

  /** Of a group, however many heads it has. */
  double group(Kind kind) {
    return kind.mode() == Mode.SKIP ? 0 : perGroup;
  }

  /** Of a layer whose heads take these candidates. */
  double layer(LayerScores layer, int[] chosen) {
    Set<Kind> groups = new HashSet<>();
    double cost = 0;
    for (int head = 0; head < chosen.length; head++) {
      Candidate candidate = layer.candidates().get(chosen[head]);
      cost += head(candidate, layer.density()[head][chosen[head]]);
      if (groups.add(candidate.kind())) {
        cost += group(candidate.kind());
      }
    }
    return cost;
  }
}
