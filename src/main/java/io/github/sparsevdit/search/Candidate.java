package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import java.util.Arrays;

/**
 * A pattern the search tries, the same for every head but for the blocks a head attends to most.
 *
 * @param mode FULL, SKIP, DIAGONAL, MULTI_DIAGONAL or VERTICAL_STRIPE
 * @param order the order its blocks are cut in
 * @param window of a diagonal or multi-diagonal, in tokens; else 0
 * @param listed how many of the head's most attended blocks it sees besides: anchors, or stripes
 */
public record Candidate(Mode mode, Order order, long window, int listed) {
  /** Everything: error 0, cost 1. */
  public static final Candidate FULL = new Candidate(Mode.FULL, Order.FRAME_MAJOR, 0, 0);

  /** Nothing: the head's output is 0. */
  public static final Candidate SKIP = new Candidate(Mode.SKIP, Order.FRAME_MAJOR, 0, 0);

  /** The head's pattern, given its most attended blocks in this order, the most attended first. */
  Pattern pattern(int[] ranked) {
    int[] blocks = Arrays.copyOf(ranked, Math.min(listed, ranked.length));
    Arrays.sort(blocks);
    return switch (mode) {
      case FULL -> Pattern.full();
      case SKIP -> Pattern.skip();
      case DIAGONAL -> Pattern.diagonal(window, blocks);
      case MULTI_DIAGONAL -> Pattern.multiDiagonal(window, blocks);
      case VERTICAL_STRIPE -> Pattern.verticalStripe(order, blocks);
      case BLOCKS -> throw new IllegalStateException("an explicit block list is no candidate");
    };
  }

  /** What heads must share to run as one group. */
  Kind kind() {
    return new Kind(mode, order);
  }

  /** A mode in an order. */
  record Kind(Mode mode, Order order) {}
}
