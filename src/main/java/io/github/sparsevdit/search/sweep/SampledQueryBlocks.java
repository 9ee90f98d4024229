package io.github.sparsevdit.search.sweep;

import io.github.sparsevdit.pattern.Sequence;

/**
 * The query blocks of one call on which candidates are scored: the video blocks, and apart from
 * them the text blocks, are cut into as many equal strata as blocks are wanted, and one block is
 * drawn from each. Sums over all blocks are estimated by weighting a block with the size of its
 * stratum.
 *
 * @param blocks block numbers, ascending, text blocks after video blocks
 * @param weights how many blocks each stands for
 */
public record SampledQueryBlocks(int[] blocks, double[] weights) {

  /**
   * Draws a share of the blocks of a sequence.
   *
   * @param share of the blocks in (0, 1]; at least one of each segment is drawn
   * @param seed what the draw depends on; the same for every candidate
   * @param available the only video blocks to draw from, ascending; null for all
   * @param round 0, or the number of an additional draw: rounds of one seed take different blocks
   *     of a stratum while it has any left
   */
  public static SampledQueryBlocks draw(
      Sequence sequence, int block, int[] available, double share, long seed, int round) {
    int video = sequence.videoBlocks(block);
    int text = sequence.textBlocks(block);
    int there = available == null ? video : available.length;
    int videoDrawn = Math.min(wanted(video, share), there);
    int textDrawn = wanted(text, share);
    int[] blocks = new int[videoDrawn + textDrawn];
    double[] weights = new double[blocks.length];
    stratify(0, there, videoDrawn, seed, round, blocks, weights, 0);
    for (int i = 0; available != null && i < videoDrawn; i++) {
      blocks[i] = available[blocks[i]];
      weights[i] *= (double) video / there;
    }
    stratify(video, text, textDrawn, mix(seed), round, blocks, weights, videoDrawn);
    return new SampledQueryBlocks(blocks, weights);
  }

  /** Tokens in each drawn block. */
  public int[] rows(Sequence sequence, int block) {
    int video = sequence.videoBlocks(block);
    int[] rows = new int[blocks.length];
    for (int i = 0; i < blocks.length; i++) {
      boolean isVideo = blocks[i] < video;
      int first = (isVideo ? blocks[i] : blocks[i] - video) * block;
      rows[i] = Math.min(block, (isVideo ? sequence.videoTokens() : sequence.text()) - first);
    }
    return rows;
  }

  private static int wanted(int blocks, double share) {
    return blocks == 0 ? 0 : Math.clamp((long) Math.ceil(share * blocks), 1, blocks);
  }

  private static void stratify(
      int first,
      int count,
      int drawn,
      long seed,
      int round,
      int[] blocks,
      double[] weights,
      int at) {
    long state = seed;
    for (int i = 0; i < drawn; i++) {
      int from = (int) ((long) count * i / drawn);
      int to = (int) ((long) count * (i + 1) / drawn);
      state = mix(state);
      long place = Math.floorMod(state, (long) (to - from)) + round;
      blocks[at + i] = first + from + (int) (place % (to - from));
      weights[at + i] = to - from;
    }
  }

  /** SplitMix64's step: well-spread values from consecutive seeds. */
  public static long mix(long value) {
    long z = value + 0x9E3779B97F4A7C15L;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
