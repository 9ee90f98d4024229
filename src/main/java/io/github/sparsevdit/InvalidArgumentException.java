package io.github.sparsevdit;

/** The native library refused an argument (SVDIT_INVALID_ARGUMENT); nothing was touched. */
public class InvalidArgumentException extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  public InvalidArgumentException(String message) {
    super(message);
  }
}
