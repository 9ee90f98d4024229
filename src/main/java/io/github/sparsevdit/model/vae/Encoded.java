package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.tensor.Tensor;

/**
 * The distribution that a video is encoded to: FP32 host tensors [channels, frames, height, width],
 * which close() frees.
 *
 * @param deviation e^(½ log variance), the logarithm cut to −30 … 20
 */
public record Encoded(Tensor mean, Tensor deviation) implements AutoCloseable {
  @Override
  public void close() {
    mean.close();
    deviation.close();
  }
}
