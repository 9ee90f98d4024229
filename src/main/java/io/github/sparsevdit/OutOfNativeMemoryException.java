package io.github.sparsevdit;

/** Host or device memory ran out (SVDIT_OUT_OF_MEMORY). */
public class OutOfNativeMemoryException extends SvditException {
  private static final long serialVersionUID = 1;

  public OutOfNativeMemoryException(String message) {
    super(message);
  }
}
