package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;

/** Halves height and width, and makes one frame of two but for the first, which stands alone. */
final class WanDownsample implements WanStage {
  private final Convolution resample;
  private final Convolution time; // null: frames stay
  private Clip kept; // the last frame of those before
  private Clip first; // of the two that become one; null where it is still to come

  WanDownsample(Layers layers, String name, int channels, boolean inTime) {
    resample =
        layers.flatConvolution(
            name + ".resample.1",
            channels,
            channels,
            ConvLayout.causal(1, 3, 3).padded(0, 1, 0, 1).strided(1, 2, 2));
    // Over three frames that are all given: the kernel has one place.
    time =
        inTime
            ? layers.convolution(
                name + ".time_conv", channels, channels, ConvLayout.causal(3, 1, 1))
            : null;
  }

  @Override
  public void push(Canvas canvas, Clip x, Next next) {
    Clip y = canvas.convolve(resample, x);
    canvas.release(x);
    if (time == null) {
      next.take(y);
    } else if (kept == null) {
      kept = canvas.take(1, y.height(), y.width(), y.channels());
      canvas.copy(y, kept);
      next.take(y);
    } else if (first == null) {
      first = y;
    } else {
      Clip one = canvas.convolve(time, y, kept, first, canvas.type);
      canvas.release(kept);
      canvas.release(first);
      kept = y;
      first = null;
      next.take(one);
    }
  }

  @Override
  public void reset(Canvas canvas) {
    canvas.release(kept);
    canvas.release(first);
    kept = null;
    first = null;
  }
}
