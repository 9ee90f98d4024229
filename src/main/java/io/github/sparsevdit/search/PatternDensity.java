package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Sequence;

/**
 * Densities of the candidates' patterns from block counts alone, so that a search over hundreds of
 * thousands of (head, candidate) pairs needs no plans. All text counts as valid. The same figures
 * as a plan's.
 */
final class PatternDensity {
  private final int block;
  private final int videoTokens;
  private final int text;
  private final int blocks;

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

  private double bandPairs(long window, int[] ranked, int anchors) {
    double pairs = 0;
    for (int query = 0; query < blocks; query++) {
      int first = query;
      while (first > 0 && distance(first - 1, query) <= window) {
        first--;
      }
      int last = query;
      while (last + 1 < blocks && distance(query, last + 1) <= window) {
        last++;
      }
      long keys = Math.min((last + 1L) * block, videoTokens) - (long) first * block;
      for (int i = 0; i < anchors; i++) {
        if (ranked[i] < first || ranked[i] > last) {
          keys += tokens(ranked[i]);
        }
      }
      pairs += (double) tokens(query) * keys;
    }
    return pairs;
  }

  /** Between the last token of an earlier block and the first of a later one. */
  private long distance(int earlier, int later) {
    return (long) later * block - ((long) earlier * block + block - 1);
  }

  private int tokens(int videoBlock) {
    return Math.min(block, videoTokens - videoBlock * block);
  }
}
