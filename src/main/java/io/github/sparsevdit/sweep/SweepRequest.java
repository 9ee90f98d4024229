package io.github.sparsevdit.sweep;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * What a sweep is to score: one pass of online softmax over all keys for sampled query blocks adds
 * video key blocks in a chosen order, first the valid text keys, then each head's {@code first}
 * blocks, then by the rule. The normalised output as each stop is reached is what the pattern with
 * that window (that many stripes) would have given; after the last stop the pass goes on to all
 * keys, which gives the dense output O_0. Immutable: each {@code with} gives a changed copy.
 */
public final class SweepRequest implements Cloneable {
  /** Orders of adding blocks, in the order of the C ABI's SVDIT_SWEEP_*. */
  public enum Rule {
    /** By token distance to the query block; stops are windows. */
    DISTANCE,
    /** As listed in first; stops count listed blocks. */
    RANKED
  }

  private final Rule rule;
  private final Order order;
  private final int[] queryBlocks;
  private final long[] stops;
  private int headBegin;
  private int headEnd;
  private int[][] first;
  private Tensor gram;
  private int[] textValid;
  private float scale;
  private boolean reference;
  private boolean mass;

  private SweepRequest(Rule rule, Order order, int[] queryBlocks, long[] stops, int[][] first) {
    if (order == null || queryBlocks == null || stops == null) {
      throw new IllegalArgumentException("a sweep needs an order, query blocks and stops");
    }
    if (queryBlocks.length == 0) {
      throw new IllegalArgumentException("a sweep needs at least one query block");
    }
    this.rule = rule;
    this.order = order;
    this.queryBlocks = queryBlocks.clone(); // what is checked must not change before it is used
    this.stops = stops.clone();
    this.first = copy(first);
    for (int i = 0; i < this.stops.length; i++) {
      if (this.stops[i] < 0 || (i > 0 && this.stops[i] <= this.stops[i - 1])) {
        throw new IllegalArgumentException(
            "stops must be at least 0 and ascend strictly: " + Arrays.toString(this.stops));
      }
    }
  }

  /** Blocks by token distance; stops, strictly ascending, are windows in tokens. */
  public static SweepRequest byDistance(Order order, int[] queryBlocks, long... stops) {
    return new SweepRequest(Rule.DISTANCE, order, queryBlocks, stops, null);
  }

  /** Blocks as listed per head, none twice; stops, strictly ascending, are how many of them. */
  public static SweepRequest ranked(Order order, int[] queryBlocks, int[][] listed, long... stops) {
    return new SweepRequest(Rule.RANKED, order, queryBlocks, stops, listed);
  }

  /** In which order blocks are added, and what stops count. */
  public Rule rule() {
    return rule;
  }

  /** How video tokens are cut into blocks. */
  public Order order() {
    return order;
  }

  /** The sampled blocks: video blocks in order, then text blocks (a copy). */
  public int[] queryBlocks() {
    return queryBlocks.clone();
  }

  /** Windows in tokens, or numbers of listed blocks (a copy). */
  public long[] stops() {
    return stops.clone();
  }

  /** The first head to sweep. */
  public int headBegin() {
    return headBegin;
  }

  /** Behind the last head; 0 with headBegin 0 for all. */
  public int headEnd() {
    return headEnd;
  }

  /** Sweeps heads begin to end only. */
  public SweepRequest withHeads(int begin, int end) {
    return with(
        copy -> {
          copy.headBegin = begin;
          copy.headEnd = end;
        });
  }

  /**
   * Per swept head the blocks added first (anchors), or for RANKED all blocks listed; null for none
   * (a copy).
   */
  public int[][] first() {
    return copy(first);
  }

  /** Adds these blocks of each head, none twice, before the others: anchors. */
  public SweepRequest withFirst(int[][] blocks) {
    return with(copy -> copy.first = copy(blocks));
  }

  /**
   * FP32 [heads swept, D, D], contiguous, host memory: W_O,h·W_O,hᵀ, so that errors are those of
   * the projected output; null for the identity. It stays the caller's.
   */
  public Tensor gram() {
    return gram;
  }

  /** Measures errors after the output projection; see {@link #gram}. */
  public SweepRequest withGram(Tensor matrices) {
    return with(copy -> copy.gram = matrices);
  }

  /** Valid text keys per batch row; null for all (a copy). */
  public int[] textValid() {
    return textValid == null ? null : textValid.clone();
  }

  /** Valid text keys per batch row; null for all. */
  public SweepRequest withTextValid(int... counts) {
    return with(copy -> copy.textValid = counts == null ? null : counts.clone());
  }

  /** The factor of q·kᵀ; 0 for 1/√D. */
  public float scale() {
    return scale;
  }

  /** Another factor of q·kᵀ; 0 for 1/√D. */
  public SweepRequest withScale(float factor) {
    return with(copy -> copy.scale = factor);
  }

  /** Whether O_0 is wanted. */
  public boolean reference() {
    return reference;
  }

  /** Asks for O_0. */
  public SweepRequest withReference() {
    return with(copy -> copy.reference = true);
  }

  /** Whether the attention mass per key block is wanted. */
  public boolean mass() {
    return mass;
  }

  /** Asks for the attention mass per key block. */
  public SweepRequest withMass() {
    return with(copy -> copy.mass = true);
  }

  private SweepRequest with(Consumer<SweepRequest> change) {
    try {
      SweepRequest copy = (SweepRequest) clone();
      change.accept(copy);
      return copy;
    } catch (CloneNotSupportedException e) {
      throw new AssertionError(e);
    }
  }

  private static int[][] copy(int[][] lists) {
    return lists == null ? null : Arrays.stream(lists).map(int[]::clone).toArray(int[][]::new);
  }
}
