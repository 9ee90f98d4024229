package io.github.sparsevdit;

import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;

/**
 * What a sweep is to score: one pass of online softmax over all keys for sampled query blocks adds
 * video key blocks in a chosen order, first the valid text keys, then each head's {@code first}
 * blocks, then by the rule. The normalised output as each stop is reached is what the pattern with
 * that window (that many stripes) would have given; after the last stop the pass goes on to all
 * keys, which gives the dense output O_0.
 *
 * @param rule in which order blocks are added, and what stops count
 * @param order how video tokens are cut into blocks
 * @param headBegin first head to sweep
 * @param headEnd behind the last one; 0 with headBegin 0 for all
 * @param queryBlocks the sampled blocks: video blocks in order, then text blocks
 * @param stops strictly ascending: windows in tokens, or numbers of listed blocks
 * @param first per swept head the blocks added first (anchors), or for RANKED all blocks listed, no
 *     block twice; null for none
 * @param gram FP32 [heads swept, D, D], contiguous, host memory: W_O,h·W_O,hᵀ, so that errors are
 *     those of the projected output; null for the identity
 * @param textValid valid text keys per batch row; null for all
 * @param scale of q·kᵀ; 0 for 1/√D
 * @param reference whether O_0 is wanted
 * @param mass whether the attention mass per key block is wanted
 */
public record SweepRequest(
    Rule rule,
    Order order,
    int headBegin,
    int headEnd,
    int[] queryBlocks,
    long[] stops,
    int[][] first,
    Tensor gram,
    int[] textValid,
    float scale,
    boolean reference,
    boolean mass) {
  /** Orders of adding blocks, in the order of the C ABI's SVDIT_SWEEP_*. */
  public enum Rule {
    /** By token distance to the query block; stops are windows. */
    DISTANCE,
    /** As listed in first; stops count listed blocks. */
    RANKED
  }

  public SweepRequest {
    if (rule == null || order == null || queryBlocks == null || stops == null) {
      throw new IllegalArgumentException("a sweep needs a rule, an order, query blocks and stops");
    }
    if (queryBlocks.length == 0) {
      throw new IllegalArgumentException("a sweep needs at least one query block");
    }
    queryBlocks = queryBlocks.clone(); // what is checked must not change before it is used
    stops = stops.clone();
    first = first == null ? null : copy(first);
    textValid = textValid == null ? null : textValid.clone();
    for (int i = 0; i < stops.length; i++) {
      if (stops[i] < 0 || (i > 0 && stops[i] <= stops[i - 1])) {
        throw new IllegalArgumentException(
            "stops must be at least 0 and ascend strictly: " + Arrays.toString(stops));
      }
    }
  }

  /** The sampled blocks (a copy). */
  @Override
  public int[] queryBlocks() {
    return queryBlocks.clone();
  }

  /** Windows in tokens, or numbers of listed blocks (a copy). */
  @Override
  public long[] stops() {
    return stops.clone();
  }

  /** Per swept head the blocks added first, or null (a copy). */
  @Override
  public int[][] first() {
    return first == null ? null : copy(first);
  }

  /** Valid text keys per batch row, or null (a copy). */
  @Override
  public int[] textValid() {
    return textValid == null ? null : textValid.clone();
  }

  private static int[][] copy(int[][] lists) {
    return Arrays.stream(lists).map(int[]::clone).toArray(int[][]::new);
  }

  /** Blocks by token distance; stops are windows in tokens. */
  public static SweepRequest byDistance(Order order, int[] queryBlocks, long... stops) {
    return new SweepRequest(
        Rule.DISTANCE, order, 0, 0, queryBlocks, stops, null, null, null, 0, false, false);
  }

  /** Blocks as listed per head; stops are how many of them. */
  public static SweepRequest ranked(Order order, int[] queryBlocks, int[][] listed, long... stops) {
    return new SweepRequest(
        Rule.RANKED, order, 0, 0, queryBlocks, stops, listed, null, null, 0, false, false);
  }

  /** Sweeps heads begin to end only. */
  public SweepRequest withHeads(int begin, int end) {
    return new SweepRequest(
        rule,
        order,
        begin,
        end,
        queryBlocks,
        stops,
        first,
        gram,
        textValid,
        scale,
        reference,
        mass);
  }

  /** Adds these blocks of each head before the others: anchors. */
  public SweepRequest withFirst(int[][] blocks) {
    return new SweepRequest(
        rule,
        order,
        headBegin,
        headEnd,
        queryBlocks,
        stops,
        blocks,
        gram,
        textValid,
        scale,
        reference,
        mass);
  }

  /** Measures errors after the output projection. */
  public SweepRequest withGram(Tensor matrices) {
    return new SweepRequest(
        rule,
        order,
        headBegin,
        headEnd,
        queryBlocks,
        stops,
        first,
        matrices,
        textValid,
        scale,
        reference,
        mass);
  }

  /** Valid text keys per batch row. */
  public SweepRequest withTextValid(int... counts) {
    return new SweepRequest(
        rule,
        order,
        headBegin,
        headEnd,
        queryBlocks,
        stops,
        first,
        gram,
        counts,
        scale,
        reference,
        mass);
  }

  /** The factor of q·kᵀ. */
  public SweepRequest withScale(float factor) {
    return new SweepRequest(
        rule,
        order,
        headBegin,
        headEnd,
        queryBlocks,
        stops,
        first,
        gram,
        textValid,
        factor,
        reference,
        mass);
  }

  /** Asks for O_0. */
  public SweepRequest withReference() {
    return new SweepRequest(
        rule,
        order,
        headBegin,
        headEnd,
        queryBlocks,
        stops,
        first,
        gram,
        textValid,
        scale,
        true,
        mass);
  }

  /** Asks for the attention mass per key block. */
  public SweepRequest withMass() {
    return new SweepRequest(
        rule,
        order,
        headBegin,
        headEnd,
        queryBlocks,
        stops,
        first,
        gram,
        textValid,
        scale,
        reference,
        true);
  }
}
