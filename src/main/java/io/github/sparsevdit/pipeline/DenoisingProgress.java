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

  /** What a run does before and after its steps. */
  enum Stage {
    /** Prompts are encoded. */
    TEXT,
    /** The image that the video begins with is encoded. */
    IMAGE,
    /** Latents are decoded into a video. */
    DECODING
  }

  /** {@code done} of {@code of} parts of a stage are done; with 0 it begins. */
  default void stage(Stage stage, long done, long of) {}

  /** A step is done; {@code step + 1} of {@code steps} are. */
  default void step(int step, int steps) {}

  /**
   * Called before every block and within stages; true ends the run with a CancellationException.
   */
  default boolean cancelled() {
    return false;
  }
}
