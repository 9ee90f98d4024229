package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Sequence;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Densities of the candidates' patterns from block counts alone, so that a search over hundreds of
 * thousands of (head, candidate) pairs needs no plans. All text counts as valid. The same figures
 * as a plan's. Thread-safe.
 */
final class PatternDensity {
  private final int block;
  private final int videoTokens;
  private final int text;
  private final int blocks;
  private final Map<Integer, Double> bands = new ConcurrentHashMap<>(); // pairs by reach

  PatternDensity(Sequence sequence, int block) {
    this.block = block;
    this.videoTokens = sequence.videoTokens();
    this.text = sequence.text();
    this.blocks = sequence.videoBlocks(block);
  }

  /**
   * Visible (query, key) pairs / all pairs.
   *
   * @param ranked the head's most attended blocks, of which the candidate sees the first few
   */
  double of(Candidate candidate, int[] ranked) {
    double all = (double) videoTokens + text;
    return switch (candidate.mode()) {
      case FULL -> 1;
      case SKIP -> 0;
      case VERTICAL_STRIPE -> {
        long keys = 0;
        for (int i = 0; i < listed(candidate, ranked); i++) {
          keys += tokens(ranked[i]);
        }
        yield withText((double) videoTokens * keys) / (all * all);
      }
      case DIAGONAL, MULTI_DIAGONAL ->
          withText(bandPairs(candidate.window(), ranked, listed(candidate, ranked))) / (all * all);
      case BLOCKS -> throw new IllegalStateException("an explicit block list is no candidate");
    };
  }

  private static int listed(Candidate candidate, int[] ranked) {
    return Math.min(candidate.listed(), ranked.length);
  }

  /**
   * Adds the pairs of text keys (seen by every video query) and of text queries (which see
   * everything).
   */
  private double withText(double videoPairs) {
    return videoPairs + (double) videoTokens * text + (double) text * ((double) videoTokens + text);
  }

  /** A band is a range of blocks about the query's; an anchor adds the queries it is not near. */
  private double bandPairs(long window, int[] ranked, int anchors) {
    int reach = reach(window);
    double pairs = bands.computeIfAbsent(reach, this::bandPairs);
    for (int i = 0; i < anchors; i++) {
      pairs += (double) tokens(ranked[i]) * (videoTokens - tokensNear(ranked[i], reach));
    }
    return pairs;
  }

  private double bandPairs(int reach) {
    double pairs = 0;
    for (int query = 0; query < blocks; query++) {
      pairs += (double) tokens(query) * tokensNear(query, reach);
    }
    return pairs;
  }

  /**
   * How many blocks away a block is seen: the distance of two blocks is that between the last token
   * of the earlier and the first of the later.
   */
  private int reach(long window) {
    return window == 0 ? 0 : (int) Math.min(blocks, (window - 1) / block + 1);
  }

  private long tokensNear(int centre, int reach) {
    long end = Math.min((centre + reach + 1L) * block, videoTokens);
    return end - (long) Math.max(0, centre - reach) * block;
  }

  private int tokens(int videoBlock) {
    return Math.min(block, videoTokens - videoBlock * block);
  }
}
