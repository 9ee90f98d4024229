package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;

/**
 * Attention in double precision from the definition of the patterns, one (query, key) pair at a
 * time.
 */
public final class BruteForce {
  private final Sequence sequence;
  private final int block;
  private final int headDim;

  public BruteForce(Sequence sequence, int block, int headDim) {
    this.sequence = sequence;
    this.block = block;
    this.headDim = headDim;
  }

  /** Softmax weights of every query over every key, [tokens][tokens]. */
  public double[][] weights(Pattern pattern, float[] q, float[] k, int textValid) {
    int tokens = sequence.tokens();
    int[] place = places(pattern.order());
    double[][] weights = new double[tokens][tokens];
    for (int i = 0; i < tokens; i++) {
      double total = 0;
      double[] logits = new double[tokens];
      double largest = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < tokens; j++) {
        for (int d = 0; d < headDim; d++) {
          logits[j] += (double) q[i * headDim + d] * k[j * headDim + d] / Math.sqrt(headDim);
        }
        largest = visible(pattern, place, i, j, textValid) ? Math.max(largest, logits[j]) : largest;
      }
      for (int j = 0; j < tokens; j++) {
        if (visible(pattern, place, i, j, textValid)) {
          weights[i][j] = Math.exp(logits[j] - largest);
          total += weights[i][j];
        }
      }
      for (int j = 0; j < tokens && total > 0; j++) {
        weights[i][j] /= total;
      }
    }
    return weights;
  }

  /** The head's output, [tokens][headDim]. */
  public double[][] attend(double[][] weights, float[] v) {
    double[][] out = new double[weights.length][headDim];
    for (int i = 0; i < weights.length; i++) {
      for (int j = 0; j < weights.length; j++) {
        for (int d = 0; d < headDim; d++) {
          out[i][d] += weights[i][j] * v[j * headDim + d];
        }
      }
    }
    return out;
  }

  /** Visible pairs / (queries × keys). */
  public double density(Pattern pattern) {
    int[] place = places(pattern.order());
    long pairs = 0;
    for (int i = 0; i < sequence.tokens(); i++) {
      for (int j = 0; j < sequence.tokens(); j++) {
        pairs += visible(pattern, place, i, j, sequence.text()) ? 1 : 0;
      }
    }
    return pairs / Math.pow(sequence.tokens(), 2);
  }

  /** The video block, in an order, of each token; −1 for text. */
  int[] blocks(Order order) {
    int[] place = places(order);
    int[] blocks = new int[place.length];
    for (int i = 0; i < place.length; i++) {
      blocks[i] = place[i] < 0 ? -1 : place[i] / block;
    }
    return blocks;
  }

  /** Each token's place in the video segment as an order lines it up; −1 for text. */
  private int[] places(Order order) {
    int first = sequence.textFirst() ? sequence.text() : 0;
    int[] places = new int[sequence.tokens()];
    java.util.Arrays.fill(places, -1);
    for (int t = 0; t < sequence.frames(); t++) {
      for (int h = 0; h < sequence.height(); h++) {
        for (int w = 0; w < sequence.width(); w++) {
          int stored = (t * sequence.height() + h) * sequence.width() + w;
          places[first + stored] =
              order.equals(Order.FRAME_MAJOR)
                  ? stored
                  : (h * sequence.width() + w) * sequence.frames() + t;
        }
      }
    }
    return places;
  }

  private boolean visible(Pattern pattern, int[] place, int query, int key, int textValid) {
    if (pattern.equals(Pattern.skip())) {
      return false;
    }
    if (place[key] < 0) {
      int text = sequence.textFirst() ? key : key - sequence.videoTokens();
      return text < textValid;
    }
    if (place[query] < 0) {
      return true;
    }
    int a = place[query] / block;
    int b = place[key] / block;
    return switch (pattern.mode()) {
      case FULL -> true;
      case SKIP, BLOCKS -> false;
      case VERTICAL_STRIPE -> pattern.blocks().contains(b);
      case DIAGONAL, MULTI_DIAGONAL ->
          distance(a, b) <= pattern.window() || pattern.blocks().contains(b);
    };
  }

  private int distance(int a, int b) {
    int lastA = Math.min((a + 1) * block, sequence.videoTokens()) - 1;
    int lastB = Math.min((b + 1) * block, sequence.videoTokens()) - 1;
    return Math.max(0, Math.max(a * block - lastB, b * block - lastA));
  }
}
