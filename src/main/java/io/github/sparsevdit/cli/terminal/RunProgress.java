package io.github.sparsevdit.cli.terminal;

import io.github.sparsevdit.pipeline.DenoisingProgress;

/** A run's steps and blocks, shown; it can be cancelled from another thread. */
public final class RunProgress implements DenoisingProgress {
  private final int steps;
  private final int branches;
  private final int layers;
  private ProgressDisplay display;
  private boolean begun;
  private volatile int step;
  private volatile Stage stage; // that is under way; null within the steps
  private volatile boolean cancelled;

  public RunProgress(int steps, int branches, int layers) {
    this.steps = steps;
    this.branches = branches;
    this.layers = layers;
  }

  /** Blocks of all steps: what there is to do. */
  public long blocks() {
    return (long) steps * branches * layers;
  }

  public void showOn(ProgressDisplay display) {
    this.display = display;
  }

  /** Ends the run before its next block. */
  public void cancel() {
    cancelled = true;
  }

  @Override
  public boolean cancelled() {
    return cancelled;
  }

  @Override
  public void block(int step, int branch, int layer) {
    this.step = step;
    long done = ((long) step * branches + branch) * layers + layer;
    if (!begun) {
      begun = true;
      display.beginAt(done); // a resumed run begins in its midst
    }
    display.note("step %d of %d, block %d of %d".formatted(step + 1, steps, layer + 1, layers));
    display.reached(done);
  }

  @Override
  public void stage(Stage stage, long done, long of) {
    this.stage = done < of ? stage : null;
    display.stage(name(stage), done, of);
  }

  /** A stage in words. */
  public static String name(Stage stage) {
    return switch (stage) {
      case TEXT -> "encoding the text";
      case IMAGE -> "encoding the image";
      case DECODING -> "decoding the video";
    };
  }

  /** Where the run is, in words: "while decoding the video", or "at step 3 of 50". */
  public String where() {
    Stage now = stage;
    return now == null ? "at step %d of %d".formatted(step + 1, steps) : "while " + name(now);
  }

  @Override
  public void step(int step, int steps) {
    display.reached((step + 1L) * branches * layers);
  }
}
