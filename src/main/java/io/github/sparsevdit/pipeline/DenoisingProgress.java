package io.github.sparsevdit.pipeline;

/** Told how a run goes, and asked whether it should go on. Called on the thread that runs. */
public interface DenoisingProgress {
  /** Says nothing and never cancels. */
  DenoisingProgress NONE = new DenoisingProgress() {};

  /**
   * The attention of a layer is about to be computed. On a device, where a pass may be one graph,
   * all of a pass's blocks are told of after it, and it is cancelled between passes.
   */
  default void block(int step, int branch, int layer) {}

  /** A step is done; {@code step + 1} of {@code steps} are. */
  default void step(int step, int steps) {}

  /** Asked before every block; true ends the run with a CancellationException. */
  default boolean cancelled() {
    return false;
  }
}
