package io.github.sparsevdit.cli;

import java.io.PrintWriter;
import java.util.Locale;
import picocli.CommandLine;

/** Where {@code svdit} starts. */
public final class Main {
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
    return line.execute(args);
  }
}
