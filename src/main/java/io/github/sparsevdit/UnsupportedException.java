package io.github.sparsevdit;

/** Legal, but this backend or build does not do it (SVDIT_UNSUPPORTED). */
public class UnsupportedException extends SvditException {
  private static final long serialVersionUID = 1;

  public UnsupportedException(String message) {
    super(message);
  }
}
