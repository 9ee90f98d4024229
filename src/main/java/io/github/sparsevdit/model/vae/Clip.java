package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.tensor.Tensor;

/**
 * Frames of pixels with channels last: rows [frames · height · width, channels].
 *
 * @param rows null where memory is only planned
 * @param buffer what {@link Canvas} lent for it
 */
record Clip(Tensor rows, Canvas.Buffer buffer, int frames, int height, int width, int channels) {
  long pixels() {
    return (long) frames * height * width;
  }

  /** A run of its frames; the memory stays this clip's. */
  Clip part(int from, int to) {
    long frame = (long) height * width;
    return new Clip(
        rows == null ? null : rows.slice(0, from * frame, to * frame),
        buffer,
        to - from,
        height,
        width,
        channels);
  }

  /** Some of its channels; the memory stays this clip's. */
  Clip channels(int from, int to) {
    return new Clip(
        rows == null ? null : rows.slice(1, from, to), buffer, frames, height, width, to - from);
  }

  /** The same pixels seen as frames of another size. */
  Clip seenAs(int frames, int height, int width) {
    return new Clip(rows, buffer, frames, height, width, channels);
  }
}
