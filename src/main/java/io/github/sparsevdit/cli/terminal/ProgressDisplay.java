package io.github.sparsevdit.cli.terminal;

import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * How far a long task has come, with the time it will still take: a bar that redraws its line on a
 * terminal, and elsewhere a plain line now and then. Any thread may report.
 */
public final class ProgressDisplay implements AutoCloseable {
  private static final Duration BETWEEN_LINES = Duration.ofSeconds(5);

  private final Console console;
  private final String task;
  private final long total;
  private final long started = System.nanoTime();
  private final ProgressBar bar;
  private long first;
  private long done;
  private long lastLine = started;
  private String note = "";

  /** Starts to show {@code task}, which has {@code total} steps. */
  public ProgressDisplay(Console console, String task, long total) {
    this.console = console;
    this.task = task;
    this.total = Math.max(1, total);
    this.bar = console.errIsTerminal() ? bar() : null;
  }

  private ProgressBar bar() {
    return new ProgressBarBuilder()
        .setTaskName(task)
        .setInitialMax(total)
        .setStyle(ProgressBarStyle.ASCII)
        .setUpdateIntervalMillis(200)
        .setConsumer(new ConsoleProgressBarConsumer(console.err()))
        .build();
  }

  /** One more step is done. */
  public void step() {
    reached(done + 1);
  }

  /** {@code steps} steps were done before. */
  synchronized void beginAt(long steps) {
    first = steps;
    done = steps;
  }

  /** {@code steps} steps are done in all. */
  public synchronized void reached(long steps) {
    done = Math.min(steps, total);
    if (bar != null) {
      bar.stepTo(done);
    } else if (done > first
        && done < total
        && System.nanoTime() - lastLine >= BETWEEN_LINES.toNanos()) {
      lastLine = System.nanoTime();
      line("about " + seconds(remaining()) + " left");
    }
  }

  /** What is being done now, beside the bar. */
  public synchronized void note(String what) {
    note = what;
    if (bar != null) {
      bar.setExtraMessage(what);
    }
  }

  /** What is done before or after the steps, in parts of its own. */
  public synchronized void stage(String what, long part, long of) {
    note = part < of ? "%s, %d of %d".formatted(what, part, of) : "";
    if (bar != null) {
      bar.setExtraMessage(note);
    } else if (part == 0 || System.nanoTime() - lastLine >= BETWEEN_LINES.toNanos()) {
      lastLine = System.nanoTime();
      console.err().printf("%s: %s, %d of %d%n", task, what, part, of);
    }
  }

  private double remaining() {
    return elapsed() / (done - first) * (total - done);
  }

  private double elapsed() {
    return (System.nanoTime() - started) * 1e-9;
  }

  private void line(String tail) {
    String what = note.isEmpty() ? "" : note + ", ";
    console.err().printf("%s: %d of %d, %s%s%n", task, done, total, what, tail);
  }

  private static String seconds(double seconds) {
    return seconds < 90
        ? String.format(Locale.ROOT, "%.0f s", seconds)
        : String.format(Locale.ROOT, "%.0f min", seconds / 60);
  }

  /** Takes the bar away, or says in a line how long it took. */
  @Override
  public synchronized void close() {
    if (bar != null) {
      bar.close();
    } else {
      note = "";
      line("took " + seconds(elapsed()));
    }
  }
}
