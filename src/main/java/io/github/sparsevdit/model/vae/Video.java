package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * A video, or latents, in host memory: FP32 [channels, frames, height, width].
 *
 * @param tensor null where memory is only planned
 */
record Video(Tensor tensor, int channels, int frames, int height, int width) {
  static Video of(Tensor tensor) {
    return new Video(
        tensor,
        Math.toIntExact(tensor.size(0)),
        Math.toIntExact(tensor.size(1)),
        Math.toIntExact(tensor.size(2)),
        Math.toIntExact(tensor.size(3)));
  }

  /** Nothing but sizes. */
  static Video planned(int channels, int frames, int height, int width) {
    return new Video(null, channels, frames, height, width);
  }

  long bytes() {
    return (long) channels * frames * height * width * ElementType.FP32.bytes();
  }

  /** Some frames of it; the memory stays this video's. */
  Video frames(int from, int to) {
    return new Video(slice(1, from, to), channels, to - from, height, width);
  }

  /** Some rows and columns of it. */
  Video region(int y0, int y1, int x0, int x1) {
    Tensor part = tensor == null ? null : tensor.slice(2, y0, y1).slice(3, x0, x1);
    return new Video(part, channels, frames, y1 - y0, x1 - x0);
  }

  private Tensor slice(int dim, int from, int to) {
    return tensor == null ? null : tensor.slice(dim, from, to);
  }
}
