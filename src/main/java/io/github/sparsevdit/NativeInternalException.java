package io.github.sparsevdit;

/** A defect in the native library (SVDIT_INTERNAL). */
public class NativeInternalException extends SvditException {
  private static final long serialVersionUID = 1;

  public NativeInternalException(String message) {
    super(message);
  }
}
