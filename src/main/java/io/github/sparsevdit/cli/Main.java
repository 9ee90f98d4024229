package io.github.sparsevdit.cli;

import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.StopOnInterrupt;
import java.io.PrintWriter;
import java.util.Locale;
import picocli.CommandLine;

/** Where {@code svdit} starts. */
public final class Main {
  private static final int ENDED_BY_SIGPIPE = 128 + 13; // as a shell reports it

  private Main() {}

  /** Runs one command and exits with its code: 0 done, 1 failed, 2 called wrongly. */
  public static void main(String[] args) {
    // Pictures are drawn in memory; numbers look the same everywhere.
    System.setProperty("java.awt.headless", "true");
    Locale.setDefault(Locale.ROOT);
    int code = run(Console.standard(), args);
    System.out.flush();
    StopOnInterrupt.commandEnded();
    System.exit(code);
  }

  /** The same inside a running program, without the exit. */
  static int run(Console console, String... args) {
    CommandLine line = new CommandLine(new Svdit(console), new Svdit.Commands(console));
    Errors errors = new Errors(console);
    line.setOut(new PrintWriter(console.out(), true));
    line.setErr(new PrintWriter(console.err(), true));
    line.setColorScheme(
        CommandLine.Help.defaultColorScheme(
            console.colour() ? CommandLine.Help.Ansi.ON : CommandLine.Help.Ansi.OFF));
    line.setUsageHelpAutoWidth(console.outIsTerminal());
    line.setUsageHelpWidth(100);
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setParameterExceptionHandler(errors);
    line.setExecutionExceptionHandler(errors);
    int code = line.execute(args);
    return console.out().checkError() ? notWritten(console, code) : code;
  }

  /**
   * A result that nobody got is none: a full disk is told, a reader that left (head) needs none.
   */
  private static int notWritten(Console console, int code) {
    if (console.outIsPipe()) {
      return code == 0 ? ENDED_BY_SIGPIPE : code;
    }
    console.err().println("svdit: standard output could not be written whole: is its disk full?");
    return code == 0 ? CommandLine.ExitCode.SOFTWARE : code;
  }
}
