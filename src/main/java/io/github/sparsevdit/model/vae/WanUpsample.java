package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.model.parts.ConvLayout.Frames;

/**
 * Makes frames twice as high and wide, and of each frame two but for the first: those come from a
 * convolution over time that begins with the second.
 */
final class WanUpsample implements WanStage {
  private final Convolution resample;
  private final KeptConvolution time; // null: frames stay
  private final int channels;
  private boolean begun;

  WanUpsample(Layers layers, String name, int channels, int outputs, boolean inTime) {
    this.channels = channels;
    resample =
        layers.flatConvolution(
            name + ".resample.1",
            channels,
            outputs,
            ConvLayout.causal(1, 3, 3).upsampling(Frames.ONCE));
    time =
        inTime
            ? new KeptConvolution(
                layers.convolution(
                    name + ".time_conv", channels, 2 * channels, ConvLayout.causal(3, 1, 1)))
            : null;
  }

  @Override
  public void push(Canvas canvas, Clip x, Next next) {
    if (time == null || !begun) {
      begun = true;
      Clip y = canvas.convolve(resample, x);
      canvas.release(x);
      next.take(y);
      return;
    }
    Clip two = time.next(canvas, x);
    next.take(canvas.convolve(resample, two.channels(0, channels)));
    Clip second = canvas.convolve(resample, two.channels(channels, 2 * channels));
    canvas.release(two);
    next.take(second);
  }

  @Override
  public void reset(Canvas canvas) {
    begun = false;
    if (time != null) {
      time.reset(canvas);
    }
  }
}
