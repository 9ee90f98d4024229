package io.github.sparsevdit.cli.terminal;

/** A command could not do what it was asked; the message names the value and the way out. */
public final class CommandFailure extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public CommandFailure(String message) {
    super(message);
  }

  public CommandFailure(String message, Throwable cause) {
    super(message, cause);
  }
}
