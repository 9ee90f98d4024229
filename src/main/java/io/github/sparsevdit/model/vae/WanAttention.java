package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.tensor.Tensor;

/** Wan's attention of a frame's pixels to each other, with one head. */
final class WanAttention implements WanStage {
  private final Tensor norm;
  private final Convolution qkv;
  private final Convolution projection;

  WanAttention(Layers layers, String name, int channels) {
    norm = layers.vector(name + ".norm.gamma", channels, 1, 1);
    ConvLayout pixel = ConvLayout.causal(1, 1, 1);
    qkv = layers.flatConvolution(name + ".to_qkv", channels, 3 * channels, pixel);
    projection = layers.flatConvolution(name + ".proj", channels, channels, pixel);
  }

  @Override
  public void push(Canvas canvas, Clip x, Next next) {
    int channels = x.channels();
    Clip normed = canvas.take(1, x.height(), x.width(), channels);
    canvas.rmsNorm(x, norm, false, normed);
    Clip all = canvas.convolve(qkv, normed);
    canvas.attend(
        all.channels(0, channels),
        all.channels(channels, 2 * channels),
        all.channels(2 * channels, 3 * channels),
        false,
        normed);
    canvas.release(all);
    Clip projected = canvas.convolve(projection, normed);
    canvas.release(normed);
    canvas.add(projected, x);
    canvas.release(projected);
    next.take(x);
  }

  @Override
  public void reset(Canvas canvas) {}
}
