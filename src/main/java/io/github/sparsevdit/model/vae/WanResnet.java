package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.tensor.Tensor;

/** Wan's residual block: twice RMS norm, SiLU and a causal convolution, around them a shortcut. */
final class WanResnet implements WanStage {
  private final Tensor norm1;
  private final Tensor norm2;
  private final KeptConvolution conv1;
  private final KeptConvolution conv2;
  private final Convolution shortcut; // null where the channels stay

  WanResnet(Layers layers, String name, int inputs, int outputs) {
    ConvLayout cube = ConvLayout.causal(3, 3, 3);
    norm1 = layers.vector(name + ".norm1.gamma", inputs, 1, 1, 1);
    conv1 = new KeptConvolution(layers.convolution(name + ".conv1", inputs, outputs, cube));
    norm2 = layers.vector(name + ".norm2.gamma", outputs, 1, 1, 1);
    conv2 = new KeptConvolution(layers.convolution(name + ".conv2", outputs, outputs, cube));
    shortcut =
        inputs == outputs
            ? null
            : layers.convolution(
                name + ".conv_shortcut", inputs, outputs, ConvLayout.causal(1, 1, 1));
  }

  @Override
  public void push(Canvas canvas, Clip frame, Next next) {
    next.take(apply(canvas, frame));
  }

  Clip apply(Canvas canvas, Clip x) {
    Clip normed = canvas.take(1, x.height(), x.width(), x.channels());
    canvas.rmsNorm(x, norm1, true, normed);
    Clip hidden = conv1.next(canvas, normed);
    canvas.rmsNorm(hidden, norm2, true, hidden);
    Clip y = conv2.next(canvas, hidden);
    if (shortcut != null) {
      Clip widened = canvas.convolve(shortcut, x);
      canvas.release(x);
      x = widened;
    }
    canvas.add(x, y);
    canvas.release(x);
    return y;
  }

  @Override
  public void reset(Canvas canvas) {
    conv1.reset(canvas);
    conv2.reset(canvas);
  }
}
