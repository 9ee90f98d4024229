package io.github.sparsevdit.pipeline;

/** Receives the progress of a run, and may cancel it. Called on the thread that runs. */
public interface DenoisingProgress {
  /** Ignores progress and never cancels. */
  DenoisingProgress NONE = new DenoisingProgress() {};

  /**
   * The attention of a layer is about to be computed. On a device, where a pass may be one graph,
   * all of a pass's blocks are reported after it, and it is cancelled between passes.
   */
  default void block(int step, int branch, int layer) {}

  /** A step is done; {@code step + 1} of {@code steps} are. */
  default void step(int step, int steps) {}

  /** Called before every block; true ends the run with a CancellationException. */
  default boolean cancelled() {
    return false;
  }
}
