package io.github.sparsevdit.pattern;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A head's mode with its parameters. Text is outside patterns: in every mode but skip each query
 * sees all valid text keys, and text queries see every valid key.
 *
 * @param mode what the head sees
 * @param order how video tokens are lined up before they are cut into blocks; frame-major for full,
 *     skip and diagonal, token-major for multi-diagonal, any for the others
 * @param window diagonal and multi-diagonal: the largest visible token distance between two blocks,
 *     at least 0 (0 is the block itself); else 0
 * @param blocks the anchors of a diagonal or multi-diagonal, or the stripes: strictly ascending
 *     video blocks; else empty
 * @param lists for {@link Mode#BLOCKS} one strictly ascending list of video blocks per video query
 *     block; else empty
 */
public record Pattern(
    Mode mode, Order order, long window, List<Integer> blocks, List<List<Integer>> lists) {
  private static final Pattern FULL =
      new Pattern(Mode.FULL, Order.FRAME_MAJOR, 0, List.of(), List.of());
  private static final Pattern SKIP =
      new Pattern(Mode.SKIP, Order.FRAME_MAJOR, 0, List.of(), List.of());

  public Pattern {
    if (mode == null || order == null) {
      throw new IllegalArgumentException(
          "a pattern needs a mode and an order: " + mode + ", " + order);
    }
    blocks = List.copyOf(blocks);
    lists = lists.stream().map(List::copyOf).toList();
    boolean windowed = mode == Mode.DIAGONAL || mode == Mode.MULTI_DIAGONAL;
    if (mode == Mode.FULL || mode == Mode.SKIP || mode == Mode.DIAGONAL) {
      require(order.equals(Order.FRAME_MAJOR), mode, "order", order, "frame-major");
    }
    if (mode == Mode.MULTI_DIAGONAL) {
      require(order.equals(Order.TOKEN_MAJOR), mode, "order", order, "token-major");
    }
    require(
        windowed ? window >= 0 : window == 0,
        mode,
        "window",
        window,
        windowed ? "at least 0" : "0");
    require(
        windowed || mode == Mode.VERTICAL_STRIPE || blocks.isEmpty(),
        mode,
        "blocks",
        blocks,
        "none");
    require(mode == Mode.BLOCKS || lists.isEmpty(), mode, "lists", lists.size(), "none");
    requireAscending(mode == Mode.VERTICAL_STRIPE ? "blocks" : "anchors", blocks);
    for (int i = 0; i < lists.size(); i++) {
      requireAscending("list " + i, lists.get(i));
    }
  }

  /** Sees everything. */
  public static Pattern full() {
    return FULL;
  }

  /** Output 0. */
  public static Pattern skip() {
    return SKIP;
  }

  /** Blocks within window tokens in frame-major order, and the anchors. */
  public static Pattern diagonal(long window, int... anchors) {
    return new Pattern(Mode.DIAGONAL, Order.FRAME_MAJOR, window, boxed(anchors), List.of());
  }

  /** Blocks within window tokens in token-major order, and the anchors. */
  public static Pattern multiDiagonal(long window, int... anchors) {
    return new Pattern(Mode.MULTI_DIAGONAL, Order.TOKEN_MAJOR, window, boxed(anchors), List.of());
  }

  /** The same frame-major blocks for every query. */
  public static Pattern verticalStripe(int... blocks) {
    return verticalStripe(Order.FRAME_MAJOR, blocks);
  }

  /** The same blocks for every query, cut in order. */
  public static Pattern verticalStripe(Order order, int... blocks) {
    return new Pattern(Mode.VERTICAL_STRIPE, order, 0, boxed(blocks), List.of());
  }

  /** One list of visible video blocks per video query block, cut in order. */
  public static Pattern blocks(Order order, List<List<Integer>> lists) {
    return new Pattern(Mode.BLOCKS, order, 0, List.of(), lists);
  }

  /**
   * Throws IllegalArgumentException if a block or a list is outside sequence, cut into blocks of
   * {@code block} tokens.
   */
  public void requireFits(Sequence sequence, int block) {
    int count = sequence.videoBlocks(block);
    requireBelow(count, mode == Mode.VERTICAL_STRIPE ? "blocks" : "anchors", blocks);
    if (mode == Mode.BLOCKS) {
      require(lists.size() == count, mode, "lists", lists.size(), "one per video block, " + count);
      for (int i = 0; i < count; i++) {
        requireBelow(count, "list " + i, lists.get(i));
      }
    }
  }

  /** {@code "diagonal(window 100, anchors [0, 4])"}. */
  @Override
  public String toString() {
    String ordered = order.equals(Order.FRAME_MAJOR) ? "" : order + ", ";
    return switch (mode) {
      case FULL, SKIP -> mode.json();
      case DIAGONAL, MULTI_DIAGONAL ->
          mode.json() + "(window " + window + (blocks.isEmpty() ? "" : ", anchors " + blocks) + ")";
      case VERTICAL_STRIPE -> mode.json() + "(" + ordered + "blocks " + blocks + ")";
      case BLOCKS -> mode.json() + "(" + ordered + lists.size() + " lists)";
    };
  }

  private static List<Integer> boxed(int[] blocks) {
    return Arrays.stream(blocks)
        .boxed()
        .collect(Collectors.collectingAndThen(Collectors.toList(), Collections::unmodifiableList));
  }

  private static void require(
      boolean holds, Mode mode, String what, Object value, String expected) {
    if (!holds) {
      throw new IllegalArgumentException(
          mode.json() + ": " + what + " " + value + ", expected " + expected);
    }
  }

  private void requireBelow(int count, String what, List<Integer> ascending) {
    if (!ascending.isEmpty()) {
      int last = ascending.get(ascending.size() - 1);
      require(
          last < count, mode, what + " hold block", last, "less than " + count + " video blocks");
    }
  }

  private static void requireAscending(String what, List<Integer> blocks) {
    int previous = -1;
    for (int block : blocks) {
      if (block <= previous) {
        throw new IllegalArgumentException(
            what
                + " must be at least 0 and strictly ascending: "
                + block
                + " after "
                + (previous < 0 ? "none" : previous));
      }
      previous = block;
    }
  }
}
