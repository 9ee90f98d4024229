package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.tensor.Tensor;

/** For denoisers that work in pixels: the latents are RGB in [−1, 1]. */
final class PixelDecoder implements LatentDecoder {
  static final int CHANNELS = 3;

  @Override
  public Video decode(Tensor latents) {
    return Video.ofPixelLatents(
        latents.toFloats(),
        Math.toIntExact(latents.size(0)),
        Math.toIntExact(latents.size(1)),
        Math.toIntExact(latents.size(2)),
        Math.toIntExact(latents.size(3)));
  }

  @Override
  public void close() {}
}
