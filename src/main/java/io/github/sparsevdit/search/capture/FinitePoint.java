package io.github.sparsevdit.search.capture;

import io.github.sparsevdit.NotFiniteException;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.List;

/**
 * Refuses a point whose Q, K or V hold NaN or infinities: attention makes numbers of some of them
 * that look like any other. Text past the valid is never a key and may hold anything, and so may
 * queries that are not there.
 */
public final class FinitePoint {
  private FinitePoint() {}

  /**
   * Throws NotFiniteException, with the point and the place, for the first that is met.
   *
   * @param block tokens in a query block
   * @param queryBlocks the video query blocks that are there, in frame-major and in token-major
   *     order; null for all
   * @param networkStarts steps at which another network takes over
   */
  public static void require(
      Point point, Sequence sequence, int block, int[] queryBlocks, List<Integer> networkStarts) {
    int step = point.key().step();
    int network = (int) networkStarts.stream().filter(start -> start <= step).count();
    String name = name(point, network, networkStarts.size() + 1);
    boolean[] queries = queryBlocks == null ? null : queries(sequence, block, queryBlocks);
    requireTokens(name, "Q", point.q(), sequence, point.textValid(), queries);
    requireTokens(name, "K", point.k(), sequence, point.textValid(), null);
    requireTokens(name, "V", point.v(), sequence, point.textValid(), null);
    Tensor projection = point.outProjection();
    if (projection != null && projection.firstNotFinite() >= 0) {
      throw new NotFiniteException(
          name
              + ": the layer's output projection holds NaN or an infinity; the weights are damaged");
    }
  }

  /** "sample 0, step 3, layer 2, branch 1 (network 2 of 2)". */
  public static String name(Point point, int network, int networks) {
    Key key = point.key();
    return "sample %d, step %d, layer %d, branch %d%s"
        .formatted(
            key.sample(),
            key.step(),
            key.layer(),
            key.branch(),
            networks == 1 ? "" : " (network %d of %d)".formatted(network + 1, networks));
  }

  /** Which tokens of the video belong to some of the blocks. */
  private static boolean[] queries(Sequence sequence, int block, int[] blocks) {
    int tokens = sequence.videoTokens();
    int places = sequence.height() * sequence.width();
    boolean[] there = new boolean[tokens];
    for (int number : blocks) {
      for (int at = number * block; at < Math.min(tokens, (number + 1) * block); at++) {
        there[at] = true; // frame-major
        there[at % sequence.frames() * places + at / sequence.frames()] = true; // token-major
      }
    }
    return there;
  }

  private static void requireTokens(
      String name, String what, Tensor given, Sequence sequence, int[] textValid, boolean[] there) {
    if (there == null && textValid == null && given.firstNotFinite() < 0) {
      return; // all at once, as a rule
    }
    try (Arena arena = Arena.ofShared()) {
      Tensor tensor = Placement.onHost(given, arena);
      for (int row = 0; row < tensor.size(0); row++) {
        int valid = textValid == null ? sequence.text() : textValid[row];
        int first = sequence.textFirst() ? sequence.text() : 0;
        int text = sequence.textFirst() ? 0 : sequence.videoTokens();
        for (int head = 0; head < tensor.size(1); head++) {
          Tensor tokens = tensor.select(0, row).select(0, head);
          for (int at = 0; at < sequence.videoTokens(); ) {
            int to = end(there, at, sequence.videoTokens());
            requireRows(name, what, tokens, row, head, first + at, first + to);
            at = begin(there, to, sequence.videoTokens());
          }
          requireRows(name, what, tokens, row, head, text, text + valid);
        }
      }
    }
  }

  /** Past the run of tokens that are there, or the place itself where it is not. */
  private static int end(boolean[] there, int from, int tokens) {
    int to = there == null ? tokens : from;
    while (to < tokens && there[to]) {
      to++;
    }
    return to;
  }

  private static int begin(boolean[] there, int from, int tokens) {
    int at = from;
    while (at < tokens && !there[at]) {
      at++;
    }
    return at;
  }

  private static void requireRows(
      String name, String what, Tensor tokens, int row, int head, int from, int to) {
    long found = from == to ? -1 : tokens.slice(0, from, to).firstNotFinite();
    if (found >= 0) {
      long token = from + found / tokens.size(1);
      throw new NotFiniteException(
          "%s: %s holds NaN or an infinity, at batch row %d, head %d, token %d; a weight or an"
                  .formatted(name, what, row, head, token)
              + " embedding is not finite, or a value passed the element type's range");
    }
  }
}
