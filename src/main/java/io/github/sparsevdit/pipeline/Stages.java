package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.model.vae.VaeListener;

/** What a VAE tells of its progress, as a run's progress. */
final class Stages {
  private static final long PARTS = 100; // of a stage, as it is reported

  private Stages() {}

  /** Reports a stage, begun now, and cancels it when the run is cancelled. */
  static VaeListener listener(DenoisingProgress progress, DenoisingProgress.Stage stage) {
    progress.stage(stage, 0, PARTS);
    return done -> {
      progress.stage(stage, Math.round(done * PARTS), PARTS);
      return !progress.cancelled();
    };
  }
}
