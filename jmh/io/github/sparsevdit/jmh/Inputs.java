package io.github.sparsevdit.jmh;

import io.github.sparsevdit.pattern.Sequence;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * Queries, keys and values that every contender is given: Gaussian, never zeros, and the same for
 * the same sizes. Row-major [S, H, D], as a model's projections leave them.
 */
final class Inputs {
  final Sequence sequence;
  final int heads;
  final int headDim;
  final float[] q;
  final float[] k;
  final float[] v;

  Inputs(Sequence sequence, int heads, int headDim) {
    this.sequence = sequence;
    this.heads = heads;
    this.headDim = headDim;
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(7);
    q = gaussian(random);
    k = gaussian(random);
    v = gaussian(random);
  }

  /** Floating-point operations of dense attention: two products of S × S × D multiply-adds. */
  double flop() {
    return 4.0 * heads * sequence.tokens() * sequence.tokens() * headDim;
  }

  /** The rows of one head, [S, D]. */
  float[] head(float[] values, int head) {
    float[] rows = new float[sequence.tokens() * headDim];
    for (int token = 0; token < sequence.tokens(); token++) {
      System.arraycopy(values, (token * heads + head) * headDim, rows, token * headDim, headDim);
    }
    return rows;
  }

  static float[] gaussian(RandomGenerator random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private float[] gaussian(RandomGenerator random) {
    return gaussian(random, sequence.tokens() * heads * headDim);
  }
}
