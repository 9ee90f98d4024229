package io.github.sparsevdit.cli;

import io.github.sparsevdit.SvditException;
import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.cli.terminal.Console;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import picocli.CommandLine;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Turns what went wrong into one line; a stack trace only with --verbose or -Dsvdit.debug=true. */
final class Errors implements IExecutionExceptionHandler, IParameterExceptionHandler {
  private static final String PLAIN = "java.io.IOException: ";

  private final Console console;

  Errors(Console console) {
    this.console = console;
  }

  @Override
  public int handleParseException(ParameterException error, String[] args) {
    CommandLine command = error.getCommandLine();
    String name = command.getCommandSpec().qualifiedName();
    console.err().println(name + ": " + oneLine(error.getMessage()));
    UnmatchedArgumentException.printSuggestions(error, console.err());
    console.err().println("Try '" + name + " --help'.");
    return ExitCode.USAGE;
  }

  @Override
  public int handleExecutionException(Exception error, CommandLine command, ParseResult parsed) {
    String name = command.getCommandSpec().qualifiedName();
    console.err().println(name + ": " + message(error));
    if (wantsTrace(command)) {
      error.printStackTrace(console.err());
    }
    return ExitCode.SOFTWARE;
  }

  private static boolean wantsTrace(CommandLine command) {
    Object root = command.getCommandSpec().root().userObject();
    return Boolean.getBoolean("svdit.debug") || root instanceof Svdit svdit && svdit.verbose;
  }

  private static String message(Throwable error) {
    return switch (error) {
      case UncheckedIOException e when saysMore(e) -> oneLine(text(e)).replace(PLAIN, "");
      case UncheckedIOException e -> message(e.getCause());
      case NoSuchFileException e when e.getReason() != null ->
          "cannot write " + e.getFile() + ": " + e.getReason();
      case NoSuchFileException e -> "there is no file " + e.getFile();
      case AccessDeniedException e -> "access to " + e.getFile() + " is denied";
      case FileSystemException e -> oneLine(e.getMessage());
      case IOException e -> "reading or writing failed: " + oneLine(text(e));
      case CommandFailure e -> oneLine(text(e));
      case SvditException e -> oneLine(text(e));
      case IllegalArgumentException e -> oneLine(text(e));
      case IllegalStateException e -> oneLine(text(e));
      case UnsupportedOperationException e -> oneLine(text(e));
      default -> "this is a defect: " + oneLine(error.toString()) + " (--verbose shows where)";
    };
  }

  /** Whether it names the file, which a plain IOException ("No space left on device") does not. */
  private static boolean saysMore(UncheckedIOException error) {
    return !(error.getCause() instanceof FileSystemException)
        && error.getMessage() != null
        && !error.getMessage().equals(error.getCause().toString());
  }

  private static String text(Throwable error) {
    return error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage();
  }

  private static String oneLine(String text) {
    return text.strip().replaceAll("\\s*\\R\\s*", "; ");
  }
}
