package io.github.sparsevdit.model.vae;

import java.util.List;

/**
 * A stage of Wan's networks, through which a video goes frame by frame. It takes a frame, which is
 * its own from then on, and hands on none, one or several. So one frame of the widest clips exists
 * at a time, and those that the convolutions keep.
 */
interface WanStage {
  /** Takes the next frame. */
  void push(Canvas canvas, Clip frame, Next next);

  /** Forgets what is kept of the video. */
  void reset(Canvas canvas);

  /** Where frames go on to; they are its own from then on. */
  @FunctionalInterface
  interface Next {
    void take(Clip frame);
  }

  /** Several stages, one after the other. */
  static void push(List<? extends WanStage> stages, Canvas canvas, Clip frame, Next next) {
    if (stages.isEmpty()) {
      next.take(frame);
      return;
    }
    List<? extends WanStage> others = stages.subList(1, stages.size());
    stages.getFirst().push(canvas, frame, each -> push(others, canvas, each, next));
  }
}
