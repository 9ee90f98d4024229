package io.github.sparsevdit.model.vae;

import java.util.concurrent.CancellationException;

/** Counts parts of the work and tells a listener. */
final class Progress {
  private final VaeListener listener;
  private int expected = 1;
  private int done;

  Progress(VaeListener listener) {
    this.listener = listener;
  }

  /** How many parts there are in all. */
  void expect(int parts) {
    expected = parts;
  }

  /** One part is done. */
  void done() {
    done++;
    if (!listener.at(Math.min(1, (double) done / expected))) {
      throw new CancellationException(
          "the VAE's work was cancelled after %d of %d parts".formatted(done, expected));
    }
  }
}
