package io.github.sparsevdit.table;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Adapts a table to another sequence. */
final class TableRescale {
  private final Sequence from;
  private final Sequence to;
  private final int block;
  private final Map<Order, long[][]> shares = new HashMap<>();

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
    long[][] share = shares(order);
    int oldCount = from.videoBlocks(block);
    int count =
        Math.max(1, Math.toIntExact(Math.round((double) old.size() * share.length / oldCount)));
    double[] covered = new double[share.length];
    for (int now = 0; now < share.length; now++) {
      long chosen = 0;
      for (int before : old) {
        chosen += share[now][before];
      }
      covered[now] = (double) chosen / LongStream.of(share[now]).sum();
    }
    return IntStream.range(0, share.length)
        .boxed()
        .sorted(
            Comparator.comparingDouble((Integer now) -> -covered[now]).thenComparing(now -> now))
        .limit(count)
        .sorted()
        .toList();
  }

  /** A new query block takes the list of the old one that most of it lies in. */
  private List<List<Integer>> lists(Order order, List<List<Integer>> old) {
    Map<List<Integer>, List<Integer>> done = new HashMap<>();
    List<List<Integer>> lists = new ArrayList<>();
    for (long[] share : shares(order)) {
      int most = 0;
      for (int before = 1; before < share.length; before++) {
        most = share[before] > share[most] ? before : most;
      }
      lists.add(done.computeIfAbsent(old.get(most), list -> blocks(order, list)));
    }
    return lists;
  }

  /**
   * For each new block and each old one how much they overlap, when both videos are stretched over
   * the same box: frames over frames, rows over rows, columns over columns.
   */
  private long[][] shares(Order order) {
    return shares.computeIfAbsent(
        order,
        unused -> {
          int[] oldBlock = blockOfToken(order, from);
          int[] newBlock = blockOfToken(order, to);
          List<Overlap> t = overlaps(to.frames(), from.frames());
          List<Overlap> h = overlaps(to.height(), from.height());
          List<Overlap> w = overlaps(to.width(), from.width());
          long[][] share = new long[to.videoBlocks(block)][from.videoBlocks(block)];
          for (Overlap inT : t) {
            for (Overlap inH : h) {
              int newRow = (inT.now() * to.height() + inH.now()) * to.width();
              int oldRow = (inT.before() * from.height() + inH.before()) * from.width();
              for (Overlap inW : w) {
                share[newBlock[newRow + inW.now()]][oldBlock[oldRow + inW.before()]] +=
                    inT.length() * inH.length() * inW.length();
              }
            }
          }
          return share;
        });
  }

  private int[] blockOfToken(Order order, Sequence sequence) {
    int[] tokens = order.tokens(sequence);
    int[] blockOf = new int[tokens.length];
    for (int position = 0; position < tokens.length; position++) {
      blockOf[tokens[position]] = position / block;
    }
    return blockOf;
  }

  /**
   * How long a new and an old index of one dimension overlap, in units of 1 / (size · old size).
   */
  private record Overlap(int now, int before, long length) {}

  private static List<Overlap> overlaps(int size, int oldSize) {
    List<Overlap> overlaps = new ArrayList<>();
    for (int now = 0; now < size; now++) {
      long begin = (long) now * oldSize;
      long end = begin + oldSize;
      for (int before = (int) (begin / size); (long) before * size < end; before++) {
        long length = Math.min(end, (before + 1L) * size) - Math.max(begin, (long) before * size);
        overlaps.add(new Overlap(now, before, length));
      }
    }
    return overlaps;
  }
}
