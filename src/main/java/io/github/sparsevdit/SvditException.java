package io.github.sparsevdit;

/**
 * What the native library could not do, with the message it gave. One subclass per native status;
 * an argument the native side refuses is an {@link InvalidArgumentException}.
 */
public class SvditException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public SvditException(String message) {
    super(message);
  }

  public SvditException(String message, Throwable cause) {
    super(message, cause);
  }
}
