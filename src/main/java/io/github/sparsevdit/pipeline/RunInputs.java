package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.tensor.Tensor;

/**
 * What one run is made from. The tensors stay the caller's.
 *
 * @param prompt the conditional branch
 * @param negative the unconditional branch; null for none
 * @param seed of the noise
 * @param noise what the run begins with instead, FP32 of the latents' shape; null for the seed's
 */
public record RunInputs(Conditioning prompt, Conditioning negative, long seed, Tensor noise) {
  /** A run from the noise of a seed. */
  public RunInputs(Conditioning prompt, Conditioning negative, long seed) {
    this(prompt, negative, seed, null);
  }
}
