package io.github.sparsevdit.cli.terminal;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Where a command writes, and what may be written there.
 *
 * @param out results
 * @param err progress and errors
 * @param outIsTerminal a person reads {@code out}: a drawing may fill the screen
 * @param errIsTerminal a person reads {@code err}: a progress bar may overwrite its line
 * @param colour {@code out} may have ANSI colours
 */
public record Console(
    PrintStream out,
    PrintStream err,
    boolean outIsTerminal,
    boolean errIsTerminal,
    boolean colour) {

  /** The process's own streams. Colours follow the terminal and https://no-color.org. */
  public static Console standard() {
    boolean outIsTerminal = isTerminal(1);
    String noColour = System.getenv("NO_COLOR");
    boolean colour = outIsTerminal && (noColour == null || noColour.isEmpty());
    return new Console(System.out, System.err, outIsTerminal, isTerminal(2), colour);
  }

  /** Streams that no person watches. */
  public static Console plain(PrintStream out, PrintStream err) {
    return new Console(out, err, false, false, false);
  }

  /** Whether {@code out} leads to another program. */
  public boolean outIsPipe() {
    try {
      return out == System.out
          && Files.readSymbolicLink(Path.of("/proc/self/fd/1")).toString().startsWith("pipe:");
    } catch (IOException e) {
      return false;
    }
  }

  /** Java's own answer covers input and output together; Linux tells each descriptor's. */
  private static boolean isTerminal(int descriptor) {
    try {
      String device = Path.of("/proc/self/fd/" + descriptor).toRealPath().toString();
      return device.startsWith("/dev/pts/") || device.startsWith("/dev/tty");
    } catch (IOException e) {
      return System.console() != null && System.console().isTerminal();
    }
  }
}
