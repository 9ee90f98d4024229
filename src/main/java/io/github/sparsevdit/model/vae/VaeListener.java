package io.github.sparsevdit.model.vae;

/** Hears how far a VAE is, and may end its work. */
@FunctionalInterface
public interface VaeListener {
  /** Hears nothing and goes on. */
  VaeListener NONE = done -> true;

  /**
   * Called after each part of the work, on the thread that works.
   *
   * @param done the part that is done, above 0, at last 1
   * @return whether to go on; if not, the call throws CancellationException
   */
  boolean at(double done);
}
