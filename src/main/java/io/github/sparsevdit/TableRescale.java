package io.github.sparsevdit;

import io.github.sparsevdit.DispatchTable.HeadEntry;
import io.github.sparsevdit.DispatchTable.Phase;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/** Adapts a table to another sequence. */
final class TableRescale {
  private final Sequence from;
  private final Sequence to;
  private final int block;
  private final Map<Order, int[][]> shares = new HashMap<>();

  private TableRescale(Sequence from, Sequence to, int block) {
    this.from = from;
    this.to = to;
    this.block = block;
  }

  static DispatchTable rescale(DispatchTable table, Sequence to) {
    TableRescale rescale = new TableRescale(table.sequence(), to, table.block());
    Map<Pattern, Pattern> done = new HashMap<>();
    List<Phase> phases =
        table.phases().stream()
            .map(
                phase ->
                    new Phase(
                        phase.from(),
                        phase.to(),
                        phase.layers().stream()
                            .map(
                                heads ->
                                    heads.stream()
                                        .map(
                                            head ->
                                                new HeadEntry(
                                                    done.computeIfAbsent(
                                                        head.pattern(), rescale::pattern)))
                                        .toList())
                            .toList()))
            .toList();
    return new DispatchTable(table.model(), to, table.block(), table.search(), phases);
  }

  private Pattern pattern(Pattern pattern) {
    Order order = pattern.order();
    return switch (pattern.mode()) {
      case FULL, SKIP -> pattern;
      case DIAGONAL -> // frames keep their number: a frame is height × width tokens
          new Pattern(
              pattern.mode(),
              order,
              scaled(pattern.window(), area(from), area(to)),
              blocks(order, pattern.blocks()),
              List.of());
      case MULTI_DIAGONAL -> // places keep their number: a place is all frames' tokens there
          new Pattern(
              pattern.mode(),
              order,
              scaled(pattern.window(), from.frames(), to.frames()),
              blocks(order, pattern.blocks()),
              List.of());
      case VERTICAL_STRIPE ->
          new Pattern(pattern.mode(), order, 0, blocks(order, pattern.blocks()), List.of());
      case BLOCKS -> Pattern.blocks(order, lists(order, pattern.lists()));
    };
  }

  private static long area(Sequence sequence) {
    return (long) sequence.height() * sequence.width();
  }

  /** window · now / before to the nearest; a window beyond the sequence stays beyond it. */
  private static long scaled(long window, long before, long now) {
    double scaled = (double) window * now / before;
    return scaled >= Long.MAX_VALUE ? Long.MAX_VALUE : Math.round(scaled);
  }

  /**
   * The new blocks that stand where the given old ones stood: as many as keep the same share of all
   * blocks, and at least one where there was one; those that lie in the old ones with most of their
   * tokens.
   */
  private List<Integer> blocks(Order order, List<Integer> old) {
    if (old.isEmpty()) {
      return List.of();
    }
    int[][] share = shares(order);
    int oldCount = from.videoBlocks(block);
    int count =
        Math.max(1, Math.toIntExact(Math.round((double) old.size() * share.length / oldCount)));
    Set<Integer> chosen = new HashSet<>(old);
    double[] covered = new double[share.length];
    for (int now = 0; now < share.length; now++) {
      int tokens = 0;
      for (int before : share[now]) {
        covered[now] += chosen.contains(before) ? 1 : 0;
        tokens++;
      }
      covered[now] /= tokens;
    }
    return IntStream.range(0, share.length)
        .boxed()
        .sorted(
            Comparator.comparingDouble((Integer now) -> -covered[now]).thenComparing(now -> now))
        .limit(count)
        .sorted()
        .toList();
  }

  /** A new query block takes the list of the old one that most of its tokens come from. */
  private List<List<Integer>> lists(Order order, List<List<Integer>> old) {
    Map<List<Integer>, List<Integer>> done = new HashMap<>();
    List<List<Integer>> lists = new ArrayList<>();
    for (int[] befores : shares(order)) {
      Map<Integer, Integer> votes = new HashMap<>();
      for (int before : befores) {
        votes.merge(before, 1, Integer::sum);
      }
      int before =
          votes.entrySet().stream()
              .max(
                  Map.Entry.<Integer, Integer>comparingByValue()
                      .thenComparing(vote -> -vote.getKey()))
              .orElseThrow()
              .getKey();
      lists.add(done.computeIfAbsent(old.get(before), list -> blocks(order, list)));
    }
    return lists;
  }

  /** For each new block, the old block that each of its tokens lies in by relative (t, h, w). */
  private int[][] shares(Order order) {
    return shares.computeIfAbsent(
        order,
        unused -> {
          int[] oldBlockOf = new int[from.videoTokens()];
          int[] oldTokens = order.tokens(from);
          for (int position = 0; position < oldTokens.length; position++) {
            oldBlockOf[oldTokens[position]] = position / block;
          }
          int[] tokens = order.tokens(to);
          int[][] share = new int[to.videoBlocks(block)][];
          for (int now = 0; now < share.length; now++) {
            int begin = now * block;
            int end = Math.min(begin + block, tokens.length);
            share[now] =
                IntStream.range(begin, end)
                    .map(position -> oldBlockOf[oldToken(tokens[position])])
                    .toArray();
          }
          return share;
        });
  }

  /** The old token at the same relative (t, h, w) as a new one, both measured at their middles. */
  private int oldToken(int token) {
    int w = token % to.width();
    int h = token / to.width() % to.height();
    int t = token / to.width() / to.height();
    return (relative(t, to.frames(), from.frames()) * from.height()
                + relative(h, to.height(), from.height()))
            * from.width()
        + relative(w, to.width(), from.width());
  }

  private static int relative(int at, int size, int oldSize) {
    return (int) ((2L * at + 1) * oldSize / (2L * size));
  }
}
