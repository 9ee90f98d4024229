package io.github.sparsevdit.cli;

import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;

/** Adds up the time that the self-attention of a run takes. For one run, on one thread. */
final class AttentionTimer implements AttentionProvider {
  private final AttentionProvider timed;
  private long nanoseconds;

  AttentionTimer(AttentionProvider timed) {
    this.timed = timed;
  }

  @Override
  public AttentionFunction at(int step, int branch) {
    AttentionFunction function = timed.at(step, branch);
    return (layer, q, k, v, textValid, out) -> {
      long start = System.nanoTime();
      function.attend(layer, q, k, v, textValid, out);
      nanoseconds += System.nanoTime() - start;
    };
  }

  double seconds() {
    return nanoseconds * 1e-9;
  }
}
