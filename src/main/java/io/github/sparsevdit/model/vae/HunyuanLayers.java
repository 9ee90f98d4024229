package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.model.parts.ConvLayout.Frames;
import io.github.sparsevdit.tensor.ElementType;

/** What HunyuanVideo's VAE is made of: padding repeats the nearest pixel, in time the first. */
final class HunyuanLayers {
  private static final float EPSILON = 1e-6f;
  private static final ConvLayout CUBE = ConvLayout.causal(3, 3, 3).replicating(true, true);

  private HunyuanLayers() {}

  static Convolution convolution(Layers layers, String name, int inputs, int outputs) {
    return layers.convolution(name + ".conv", inputs, outputs, CUBE);
  }

  /** Twice group norm, SiLU and a convolution, around them a shortcut. */
  static ChunkLayer resnet(Layers layers, String name, int inputs, int outputs, int groups) {
    GroupNorm norm1 = layers.groupNorm(name + ".norm1", inputs, groups, EPSILON);
    Convolution conv1 = convolution(layers, name + ".conv1", inputs, outputs);
    GroupNorm norm2 = layers.groupNorm(name + ".norm2", outputs, groups, EPSILON);
    Convolution conv2 = convolution(layers, name + ".conv2", outputs, outputs);
    Convolution shortcut =
        inputs == outputs
            ? null
            : layers.convolution(
                name + ".conv_shortcut.conv", inputs, outputs, ConvLayout.causal(1, 1, 1));
    return (canvas, x) -> {
      Clip normed = canvas.take(x.frames(), x.height(), x.width(), x.channels());
      canvas.groupNorm(x, norm1, null, true, normed);
      Clip hidden = canvas.convolve(conv1, normed);
      canvas.release(normed);
      canvas.groupNorm(hidden, norm2, null, true, hidden);
      Clip y = canvas.convolve(conv2, hidden);
      canvas.release(hidden);
      return addShortcut(canvas, shortcut, x, y);
    };
  }

  /** y += x, by way of the convolution where there is one; x is released. */
  static Clip addShortcut(Canvas canvas, Convolution shortcut, Clip x, Clip y) {
    Clip added = x;
    if (shortcut != null) {
      added = canvas.convolve(shortcut, x);
      canvas.release(x);
    }
    canvas.add(added, y);
    canvas.release(added);
    return y;
  }

  /** Attention of all pixels to those of their own and earlier frames. */
  static ChunkLayer attention(Layers layers, String name, int channels, int groups) {
    GroupNorm norm = layers.groupNorm(name + ".group_norm", channels, groups, EPSILON);
    Convolution toQ = layers.linear(name + ".to_q", channels, channels);
    Convolution toK = layers.linear(name + ".to_k", channels, channels);
    Convolution toV = layers.linear(name + ".to_v", channels, channels);
    Convolution toOut = layers.linear(name + ".to_out.0", channels, channels);
    return (canvas, x) -> {
      Clip normed = canvas.take(x.frames(), x.height(), x.width(), channels);
      canvas.groupNorm(x, norm, null, false, normed);
      Clip q = canvas.convolve(toQ, normed);
      Clip k = canvas.convolve(toK, normed);
      Clip v = canvas.convolve(toV, normed);
      canvas.attend(q, k, v, true, normed);
      canvas.release(q);
      canvas.release(k);
      canvas.release(v);
      Clip y = canvas.convolve(toOut, normed);
      canvas.release(normed);
      canvas.add(y, x);
      canvas.release(y);
      return x;
    };
  }

  /** Twice the rows and columns, and where asked for twice the frames but for the first. */
  static ChunkLayer upsample(Layers layers, String name, int channels, boolean inTime) {
    return convolving(
        layers.convolution(
            name + ".conv.conv",
            channels,
            channels,
            CUBE.upsampling(inTime ? Frames.TWICE_BUT_FIRST : Frames.ONCE)));
  }

  static ChunkLayer downsample(Layers layers, String name, int channels, boolean inTime) {
    return convolving(
        layers.convolution(
            name + ".conv.conv", channels, channels, CUBE.strided(inTime ? 2 : 1, 2, 2)));
  }

  static ChunkLayer convolving(Convolution convolution) {
    return (canvas, x) -> {
      Clip y = canvas.convolve(convolution, x);
      canvas.release(x);
      return y;
    };
  }

  /** Group norm, SiLU and the last convolution, to FP32 unless something follows. */
  static ChunkLayer end(
      Layers layers, String name, int channels, int outputs, int groups, Convolution last) {
    GroupNorm norm = layers.groupNorm(name + ".conv_norm_out", channels, groups, EPSILON);
    Convolution out = convolution(layers, name + ".conv_out", channels, outputs);
    return (canvas, x) -> {
      canvas.groupNorm(x, norm, null, true, x);
      Clip y = canvas.convolve(out, x, null, null, last == null ? ElementType.FP32 : canvas.type);
      canvas.release(x);
      if (last != null) {
        Clip moments = canvas.convolve(last, y, null, null, ElementType.FP32);
        canvas.release(y);
        y = moments;
      }
      return y;
    };
  }
}
