package io.github.sparsevdit.model.vae;

import java.util.List;

/**
 * Wan 2.2's upsampling block: what comes in is spread over the larger frames and added to what goes
 * out (diffusers: DupUp3D).
 */
final class WanResidualUp implements WanStage {
  private final List<WanStage> stages;
  private final int factorFrames;
  private boolean begun;

  WanResidualUp(List<WanStage> stages, boolean inTime) {
    this.stages = List.copyOf(stages);
    factorFrames = inTime ? 2 : 1;
  }

  @Override
  public void push(Canvas canvas, Clip x, Next next) {
    Clip before = canvas.take(1, x.height(), x.width(), x.channels());
    canvas.copy(x, before);
    // The first frame becomes one frame, which is the last one of those it is spread over.
    int[] frame = {begun ? 0 : factorFrames - 1};
    begun = true;
    WanStage.push(
        stages,
        canvas,
        x,
        y -> {
          canvas.spread(before, factorFrames, 2, frame[0], y);
          frame[0]++;
          if (frame[0] == factorFrames) {
            canvas.release(before);
          }
          next.take(y);
        });
  }

  @Override
  public void reset(Canvas canvas) {
    begun = false;
    stages.forEach(stage -> stage.reset(canvas));
  }
}
