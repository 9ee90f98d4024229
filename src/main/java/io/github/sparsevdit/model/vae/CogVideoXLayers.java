package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.model.parts.ConvLayout.Frames;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * What CogVideoX's VAE is made of. Frames come in groups; a convolution keeps the last two frames
 * of a group for the next one, and before the first group it repeats the first frame.
 */
final class CogVideoXLayers {
  private static final float EPSILON = 1e-6f;
  private static final ConvLayout CUBE = ConvLayout.causal(3, 3, 3).replicating(false, true);
  private static final ConvLayout PIXEL = ConvLayout.causal(1, 1, 1);

  private CogVideoXLayers() {}

  /**
   * What a group of frames goes through the layers with.
   *
   * @param latents of the group, which condition the norms; null in the encoder
   * @param last whether no group follows, so that nothing need be kept
   */
  record Group(Clip latents, boolean last) {}

  /** A layer that may keep frames from one group to the next. */
  interface Layer {
    /** x is this layer's own. */
    Clip apply(Canvas canvas, Clip x, Group group);

    /** Forgets what is kept. */
    default void reset(Canvas canvas) {}
  }

  /** A convolution of three frames. */
  static final class Conv implements Layer {
    private final Convolution convolution;
    private Clip earlier;
    private Clip before;

    Conv(Layers layers, String name, int inputs, int outputs) {
      convolution = layers.convolution(name + ".conv", inputs, outputs, CUBE);
    }

    @Override
    public Clip apply(Canvas canvas, Clip x, Group group) {
      return apply(canvas, x, group, canvas.type);
    }

    Clip apply(Canvas canvas, Clip x, Group group, ElementType as) {
      Clip y = canvas.convolve(convolution, x, earlier, before, as);
      int n = x.frames();
      if (group.last()) {
        reset(canvas);
      } else if (before == null) { // in what was seen the first frame stands before itself
        earlier = kept(canvas, x.part(Math.max(0, n - 2), Math.max(0, n - 2) + 1));
        before = kept(canvas, x.part(n - 1, n));
      } else if (n == 1) {
        Clip oldest = earlier;
        earlier = before;
        before = oldest;
        canvas.copy(x, before);
      } else {
        canvas.copy(x.part(n - 2, n - 1), earlier);
        canvas.copy(x.part(n - 1, n), before);
      }
      canvas.release(x);
      return y;
    }

    private static Clip kept(Canvas canvas, Clip frame) {
      Clip kept = canvas.take(1, frame.height(), frame.width(), frame.channels());
      canvas.copy(frame, kept);
      return kept;
    }

    @Override
    public void reset(Canvas canvas) {
      canvas.release(earlier);
      canvas.release(before);
      earlier = null;
      before = null;
    }
  }

  /** Group norm and SiLU; in the decoder scaled and shifted by what the latents say. */
  static final class Norm {
    private final GroupNorm norm;
    private final Convolution scale; // null in the encoder
    private final Convolution shift;

    /**
     * @param latents channels of the latents; 0 for a plain group norm
     */
    Norm(Layers layers, String name, int channels, int groups, float epsilon, int latents) {
      boolean plain = latents == 0;
      norm = layers.groupNorm(plain ? name : name + ".norm_layer", channels, groups, epsilon);
      scale = plain ? null : layers.convolution(name + ".conv_y.conv", latents, channels, PIXEL);
      shift = plain ? null : layers.convolution(name + ".conv_b.conv", latents, channels, PIXEL);
    }

    void apply(Canvas canvas, Clip x, Group group, Clip y) {
      if (scale == null) {
        canvas.groupNorm(x, norm, null, true, y);
        return;
      }
      // On the latents and not on what they are enlarged to: kernels of one pixel give the same.
      Clip scales = canvas.convolve(scale, group.latents());
      Clip shifts = canvas.convolve(shift, group.latents());
      canvas.groupNorm(x, norm, new Canvas.ClipMaps(scales, shifts), true, y);
      canvas.release(scales);
      canvas.release(shifts);
    }
  }

  /** Twice norm, SiLU and a convolution, around them a shortcut. */
  static final class Resnet implements Layer {
    private final Norm norm1;
    private final Norm norm2;
    private final Conv conv1;
    private final Conv conv2;
    private final Convolution shortcut; // null where the channels stay

    Resnet(Layers layers, String name, int inputs, int outputs, CogVideoXVaeConfig c, int latents) {
      float epsilon = latents == 0 ? c.epsilon() : EPSILON;
      norm1 = new Norm(layers, name + ".norm1", inputs, c.groups(), epsilon, latents);
      conv1 = new Conv(layers, name + ".conv1", inputs, outputs);
      norm2 = new Norm(layers, name + ".norm2", outputs, c.groups(), epsilon, latents);
      conv2 = new Conv(layers, name + ".conv2", outputs, outputs);
      shortcut =
          inputs == outputs
              ? null
              : layers.convolution(name + ".conv_shortcut", inputs, outputs, PIXEL);
    }

    @Override
    public Clip apply(Canvas canvas, Clip x, Group group) {
      Clip normed = canvas.take(x.frames(), x.height(), x.width(), x.channels());
      norm1.apply(canvas, x, group, normed);
      Clip hidden = conv1.apply(canvas, normed, group);
      norm2.apply(canvas, hidden, group, hidden);
      Clip y = conv2.apply(canvas, hidden, group);
      return HunyuanLayers.addShortcut(canvas, shortcut, x, y);
    }

    @Override
    public void reset(Canvas canvas) {
      conv1.reset(canvas);
      conv2.reset(canvas);
    }
  }

  /** Twice the rows and columns, and where asked for twice the frames: but for an odd first one. */
  static Layer upsample(Layers layers, String name, int channels, boolean inTime) {
    ConvLayout square = ConvLayout.causal(1, 3, 3);
    Convolution convolution =
        layers.flatConvolution(name + ".conv", channels, channels, square.upsampling(Frames.ONCE));
    return (canvas, x, group) -> {
      Frames frames =
          !inTime || x.frames() == 1
              ? Frames.ONCE
              : x.frames() % 2 == 1 ? Frames.TWICE_BUT_FIRST : Frames.TWICE;
      Clip y = canvas.convolve(convolution.lying(square.upsampling(frames)), x);
      canvas.release(x);
      return y;
    };
  }

  /**
   * Half the rows and columns; where asked for means of two frames before: but for an odd first.
   */
  static Layer downsample(Layers layers, String name, int channels, boolean inTime) {
    Convolution convolution =
        layers.flatConvolution(
            name + ".conv",
            channels,
            channels,
            ConvLayout.causal(1, 3, 3).padded(0, 1, 0, 1).strided(1, 2, 2));
    Tensor half = inTime ? layers.row(0.5f, channels) : null;
    Tensor minusHalf = inTime ? layers.row(-0.5f, channels) : null;
    return (canvas, x, group) -> {
      Clip averaged = x;
      if (inTime && x.frames() > 1) {
        averaged = halved(canvas, x, half, minusHalf);
        canvas.release(x);
      }
      Clip y = canvas.convolve(convolution, averaged);
      canvas.release(averaged);
      return y;
    };
  }

  private static Clip halved(Canvas canvas, Clip x, Tensor half, Tensor minusHalf) {
    int odd = x.frames() % 2;
    int frames = x.frames() / 2 + odd;
    Clip y = canvas.take(frames, x.height(), x.width(), x.channels());
    if (odd == 1) {
      canvas.copy(x.part(0, 1), y.part(0, 1));
    }
    for (int t = odd; t < frames; t++) {
      int first = 2 * t - odd;
      Clip mean = y.part(t, t + 1);
      canvas.copy(x.part(first, first + 1), mean);
      canvas.add(x.part(first, first + 1), minusHalf, mean); // exact: half of it
      canvas.add(x.part(first + 1, first + 2), half, mean);
    }
    return y;
  }
}
