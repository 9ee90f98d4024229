package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.sweep.SweepPass;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * The patterns a search tries on every head, arranged so that one pass over the keys scores every
 * window of a mode: full; skip; diagonal and multi-diagonal at several windows, without anchors and
 * with each number of anchors; vertical stripes of several sizes. Immutable.
 */
public final class Candidates {
  /**
   * At most this many passes over the sampled query blocks per mode, whatever the number of
   * windows.
   */
  public static final int MAX_PASSES_PER_MODE = 3;

  /** Where FULL and SKIP stand among {@link #all}. */
  static final int FULL = 0;

  static final int SKIP = 1;

  private final List<Candidate> all;
  private final List<SweepPass> passes;

  private Candidates(List<Candidate> all, List<SweepPass> passes) {
    this.all = List.copyOf(all);
    this.passes = List.copyOf(passes);
  }

  /**
   * Windows and stripe sizes one block apart where they are small and a quarter apart where they
   * are large, up to nine tenths of the blocks; anchors on a sixteenth and a sixth of the blocks;
   * stripes in both orders.
   */
  public static Candidates standard(Sequence sequence, int block) {
    int blocks = sequence.videoBlocks(block);
    Set<Long> windows = new TreeSet<>();
    Set<Integer> stripes = new TreeSet<>();
    for (int reach = 0; 2 * reach + 1 < 1.6 * blocks; reach = Math.max(reach + 1, reach * 5 / 4)) {
      windows.add((long) reach * block);
    }
    for (int size = 1; size <= 0.9 * blocks; size = Math.max(size + 1, size * 5 / 4)) {
      stripes.add(size);
    }
    Set<Integer> anchors = new TreeSet<>();
    if (blocks >= 4) {
      anchors.add(Math.max(1, blocks / 16));
      anchors.add(Math.max(1, blocks / 6));
    }
    return builder()
        .diagonal(windows)
        .multiDiagonal(windows)
        .anchors(anchors)
        .stripes(Order.FRAME_MAJOR, stripes)
        .stripes(Order.TOKEN_MAJOR, stripes)
        .build();
  }

  /**
   * One size per mode, as in the paper, whose sizes are not disclosed: about a fifth of the blocks
   * each. With several sizes per mode the paper's rule would take the widest wherever λ is small,
   * and its ε could not set the density.
   */
  public static Candidates paper(Sequence sequence, int block) {
    int blocks = sequence.videoBlocks(block);
    List<Long> window = List.of((long) blocks / 10 * block);
    return builder()
        .diagonal(window)
        .multiDiagonal(window)
        .stripes(Order.FRAME_MAJOR, List.of(Math.max(1, blocks / 5)))
        .build();
  }

  /** Nothing but FULL and SKIP to begin with. */
  public static Builder builder() {
    return new Builder();
  }

  /** The candidates that {@link #all} lists, as a builder made them. */
  static Candidates of(List<Candidate> all) {
    Builder builder = builder();
    for (Candidate candidate : all) {
      switch (candidate.mode()) {
        case FULL, SKIP -> {}
        case DIAGONAL -> builder.diagonal(List.of(candidate.window()));
        case MULTI_DIAGONAL -> builder.multiDiagonal(List.of(candidate.window()));
        case VERTICAL_STRIPE -> builder.stripes(candidate.order(), List.of(candidate.listed()));
        case BLOCKS -> throw new IllegalStateException("an explicit block list is no candidate");
      }
      if (candidate.listed() > 0 && candidate.mode() != Mode.VERTICAL_STRIPE) {
        builder.anchors(List.of(candidate.listed()));
      }
    }
    Candidates made = builder.build();
    if (!made.all.equals(all)) {
      throw new IllegalArgumentException("candidates " + all + "; expected " + made.all);
    }
    return made;
  }

  /** Every candidate; the first is FULL, the second SKIP. */
  public List<Candidate> all() {
    return all;
  }

  List<SweepPass> passes() {
    return passes;
  }

  /** What the candidates are, in one line: part of what a half-done search must agree on. */
  String describe() {
    return all.toString();
  }

  /** Collects the sizes to try. */
  public static final class Builder {
    private final Set<Long> diagonal = new TreeSet<>();
    private final Set<Long> multiDiagonal = new TreeSet<>();
    private final Set<Integer> anchors = new TreeSet<>();
    private final Set<Integer> frameStripes = new TreeSet<>();
    private final Set<Integer> tokenStripes = new TreeSet<>();

    private Builder() {}

    /** Windows of the diagonal, in tokens. */
    public Builder diagonal(Collection<Long> windows) {
      addAll(diagonal, windows, 0L, "window");
      return this;
    }

    /** Windows of the multi-diagonal, in tokens of token-major order. */
    public Builder multiDiagonal(Collection<Long> windows) {
      addAll(multiDiagonal, windows, 0L, "window");
      return this;
    }

    /** Numbers of anchors to try besides none: each costs a pass per mode, so at most two. */
    public Builder anchors(Collection<Integer> counts) {
      addAll(anchors, counts, 1, "number of anchors");
      if (anchors.size() > MAX_PASSES_PER_MODE - 1) {
        throw new IllegalArgumentException(
            "%s numbers of anchors; at most %d".formatted(anchors, MAX_PASSES_PER_MODE - 1));
      }
      return this;
    }

    /** Sizes of vertical stripes, in blocks of that order: frame-major or token-major. */
    public Builder stripes(Order order, Collection<Integer> sizes) {
      if (!order.equals(Order.FRAME_MAJOR) && !order.equals(Order.TOKEN_MAJOR)) {
        throw new IllegalArgumentException(
            "stripes in order %s; expected frame-major or token-major".formatted(order));
      }
      addAll(
          order.equals(Order.FRAME_MAJOR) ? frameStripes : tokenStripes,
          sizes,
          1,
          "number of stripes");
      return this;
    }

    public Candidates build() {
      List<Candidate> all = new ArrayList<>(List.of(Candidate.FULL, Candidate.SKIP));
      List<SweepPass> passes = new ArrayList<>();
      // The passes without listed blocks come first: they find the blocks the others list. One runs
      // in an order even
      // if it has no window to score, where stripes need its attention mass.
      Set<Integer> listed = new TreeSet<>(anchors);
      windows(Mode.DIAGONAL, Order.FRAME_MAJOR, diagonal, 0, all, passes, !frameStripes.isEmpty());
      windows(
          Mode.MULTI_DIAGONAL,
          Order.TOKEN_MAJOR,
          multiDiagonal,
          0,
          all,
          passes,
          !tokenStripes.isEmpty());
      for (int count : listed) {
        windows(Mode.DIAGONAL, Order.FRAME_MAJOR, diagonal, count, all, passes, false);
        windows(Mode.MULTI_DIAGONAL, Order.TOKEN_MAJOR, multiDiagonal, count, all, passes, false);
      }
      stripes(Order.FRAME_MAJOR, frameStripes, all, passes);
      stripes(Order.TOKEN_MAJOR, tokenStripes, all, passes);
      if (passes.isEmpty()) { // SKIP alone still needs the norms a pass measures
        passes.add(new SweepPass(Mode.DIAGONAL, Order.FRAME_MAJOR, 0, new long[0], new int[0]));
      }
      return new Candidates(all, passes);
    }

    private static void windows(
        Mode mode,
        Order order,
        Set<Long> windows,
        int listed,
        List<Candidate> all,
        List<SweepPass> passes,
        boolean even) {
      if (windows.isEmpty() && !even) {
        return;
      }
      long[] stops = windows.stream().mapToLong(Long::longValue).toArray();
      int[] candidates = new int[stops.length];
      for (int i = 0; i < stops.length; i++) {
        candidates[i] = all.size();
        all.add(new Candidate(mode, order, stops[i], listed));
      }
      passes.add(new SweepPass(mode, order, listed, stops, candidates));
    }

    private static void stripes(
        Order order, Set<Integer> sizes, List<Candidate> all, List<SweepPass> passes) {
      if (sizes.isEmpty()) {
        return;
      }
      long[] stops = sizes.stream().mapToLong(Integer::longValue).toArray();
      int[] candidates = new int[stops.length];
      for (int i = 0; i < stops.length; i++) {
        candidates[i] = all.size();
        all.add(new Candidate(Mode.VERTICAL_STRIPE, order, 0, (int) stops[i]));
      }
      int listed = (int) stops[stops.length - 1];
      passes.add(new SweepPass(Mode.VERTICAL_STRIPE, order, listed, stops, candidates));
    }

    private static <T extends Comparable<T>> void addAll(
        Set<T> to, Collection<T> values, T least, String what) {
      for (T value : values) {
        if (value.compareTo(least) < 0) {
          throw new IllegalArgumentException("%s %s; at least %s".formatted(what, value, least));
        }
        to.add(value);
      }
    }
  }
}
