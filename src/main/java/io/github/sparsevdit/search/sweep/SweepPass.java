package io.github.sparsevdit.search.sweep;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.search.Candidates;

/**
 * One pass over all keys that scores several candidates at once: each stop is one of them.
 *
 * @param mode the mode of its candidates
 * @param order the order its blocks are cut in
 * @param listed how many of each head's most attended blocks come first; 0 in a pass that also
 *     finds which those are
 * @param stops windows in tokens, or (vertical stripes) numbers of listed blocks; strictly
 *     ascending
 * @param candidates the candidate each stop scores, as an index into {@link Candidates#all}
 */
public record SweepPass(Mode mode, Order order, int listed, long[] stops, int[] candidates) {
  /** Whether keys come by distance; else as listed. */
  public boolean byDistance() {
    return mode != Mode.VERTICAL_STRIPE;
  }

  /** Whether this pass needs to know each head's most attended blocks. */
  public boolean needsBlocks() {
    return listed > 0;
  }
}
