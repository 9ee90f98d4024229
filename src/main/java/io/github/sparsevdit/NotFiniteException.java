package io.github.sparsevdit;

/**
 * A NaN or an infinity where only numbers make sense: in a denoiser's inputs or results, or in the
 * inputs of a search or a capture. Earlier results stay whole. The message says where it was found,
 * and the most likely cause.
 */
public final class NotFiniteException extends SvditException {
  private static final long serialVersionUID = 1;

  public NotFiniteException(String message) {
    super(message);
  }
}
