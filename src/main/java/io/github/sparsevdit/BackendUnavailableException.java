package io.github.sparsevdit;

/** No such device, driver or library here (SVDIT_UNAVAILABLE); the message says why. */
public class BackendUnavailableException extends SvditException {
  private static final long serialVersionUID = 1;

  public BackendUnavailableException(String message) {
    super(message);
  }

  public BackendUnavailableException(String message, Throwable cause) {
    super(message, cause);
  }
}
