package io.github.sparsevdit;

/**
 * A NaN or an infinity where only numbers make sense: in a denoiser's inputs or results, or in what
 * a search or a capture is given. Nothing that was whole before is touched. The message says where
 * it was met and what most likely brought it there.
 */
public final class NotFiniteException extends SvditException {
  private static final long serialVersionUID = 1;

  public NotFiniteException(String message) {
    super(message);
  }
}
