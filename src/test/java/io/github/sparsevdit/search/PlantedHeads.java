package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.SyntheticSource.Head;
import java.util.List;
import java.util.Random;

/** Heads whose attention has one structure, by construction. */
final class PlantedHeads {
  /** What each of {@link #all} must be found to be. */
  static final List<Mode> MODES =
      List.of(Mode.DIAGONAL, Mode.MULTI_DIAGONAL, Mode.VERTICAL_STRIPE, Mode.SKIP, Mode.FULL);

  static final int STRIPE = 2;
  static final int STRIPE_TOKEN = 165;

  private PlantedHeads() {}

  static List<Head> all(Sequence sequence, int headDim) {
    return List.of(
        near(sequence, headDim, Order.FRAME_MAJOR),
        near(sequence, headDim, Order.TOKEN_MAJOR),
        (key, random, q, k, v) -> {
          // Every query's mass lies on one token.
          for (int d = 0; d < headDim; d++) {
            for (int i = 0; i < sequence.tokens(); i++) {
              q[i * headDim + d] = 1;
            }
            k[STRIPE_TOKEN * headDim + d] = 4;
          }
          SyntheticSource.gaussian(random, v, 1);
        },
        (key, random, q, k, v) -> {
          SyntheticSource.gaussian(random, q, 1);
          SyntheticSource.gaussian(random, k, 1);
          SyntheticSource.gaussian(random, v, 1e-3); // hardly any output
        },
        (key, random, q, k, v) -> {
          // Uniform attention over values whose mean any subset misses.
          SyntheticSource.gaussian(random, v, 4 * Math.sqrt(sequence.tokens()) / 4);
        });
  }

  /**
   * Attention falls off with the distance of two tokens in an order: their features are waves of
   * their places.
   */
  private static Head near(Sequence sequence, int headDim, Order order) {
    int[] place = new int[sequence.tokens()];
    int[] tokens = order.tokens(sequence);
    for (int i = 0; i < tokens.length; i++) {
      place[tokens[i]] = i;
    }
    return (key, random, q, k, v) -> {
      Random waves = new Random(3);
      double scale = Math.sqrt(60 * Math.sqrt(headDim) / (headDim / 2.0));
      for (int m = 0; m < headDim / 2; m++) {
        double frequency = waves.nextGaussian() / 12;
        for (int i = 0; i < place.length; i++) {
          q[i * headDim + 2 * m] =
              k[i * headDim + 2 * m] = (float) (scale * Math.cos(frequency * place[i]));
          q[i * headDim + 2 * m + 1] =
              k[i * headDim + 2 * m + 1] = (float) (scale * Math.sin(frequency * place[i]));
        }
      }
      SyntheticSource.gaussian(random, v, 1);
    };
  }
}
