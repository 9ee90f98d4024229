package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.tensor.Tensor;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/** The noise a run begins with. */
public final class Noise {
  private Noise() {}

  /** Fills latents with what is given, or, where that is null, with the noise of a seed. */
  public static void fill(Tensor latents, long seed, Tensor given) {
    if (given == null) {
      fill(latents, seed);
    } else {
      latents.copyFrom(given);
    }
  }

  /**
   * Fills latents with standard normal numbers; the same seed gives the same numbers on every
   * machine.
   */
  public static void fill(Tensor latents, long seed) {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    float[] values = new float[Math.toIntExact(latents.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    latents.copyFrom(values);
  }
}
