package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;
import java.util.List;

/**
 * Wan 2.2's downsampling block: averages of what comes in are added to what goes out (diffusers:
 * AvgDown3D). A clip's squares of two frames, rows and columns lie one channel after the other;
 * each channel of the result is the mean of as many of them as there are for it.
 */
final class WanResidualDown implements WanStage {
  private final List<WanStage> stages;
  private final Convolution mean;
  private final boolean inTime;
  private Clip before; // the first of two frames; null where it is still to come
  private boolean begun;

  WanResidualDown(
      Layers layers, List<WanStage> stages, int inputs, int outputs, boolean inTime, int factor) {
    this.stages = List.copyOf(stages);
    this.inTime = inTime;
    int frames = inTime ? 2 : 1;
    mean =
        layers.constant(
            means(inputs, outputs, frames, factor),
            inputs,
            outputs,
            ConvLayout.causal(frames, factor, factor)
                .padded(0, 0, 0, 0)
                .strided(frames, factor, factor));
  }

  /** The weights [outputs, rows, columns, frames, inputs] of a convolution that averages. */
  private static float[] means(int inputs, int outputs, int frames, int factor) {
    int volume = frames * factor * factor;
    int group = inputs * volume / outputs;
    float[] weights = new float[outputs * volume * inputs];
    for (int c = 0; c < inputs; c++) {
      for (int t = 0; t < frames; t++) {
        for (int h = 0; h < factor; h++) {
          for (int w = 0; w < factor; w++) {
            int o = (((c * frames + t) * factor + h) * factor + w) / group;
            int at = (((o * factor + h) * factor + w) * frames + t) * inputs + c;
            weights[at] = 1f / group;
          }
        }
      }
    }
    return weights;
  }

  @Override
  public void push(Canvas canvas, Clip x, Next next) {
    Clip shortcut = null;
    if (inTime && begun && before == null) {
      before = canvas.take(1, x.height(), x.width(), x.channels());
      canvas.copy(x, before);
    } else { // the first frame of all has zeros before it
      shortcut = canvas.convolve(mean, x, null, before, canvas.type);
      canvas.release(before);
      before = null;
    }
    begun = true;
    Clip added = shortcut;
    WanStage.push(
        stages,
        canvas,
        x,
        y -> {
          canvas.add(added, y);
          canvas.release(added);
          next.take(y);
        });
  }

  @Override
  public void reset(Canvas canvas) {
    canvas.release(before);
    before = null;
    begun = false;
    stages.forEach(stage -> stage.reset(canvas));
  }
}
