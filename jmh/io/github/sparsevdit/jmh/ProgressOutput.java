package io.github.sparsevdit.jmh;

import java.io.IOException;
import java.util.Collection;
import java.util.Locale;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.format.OutputFormat;

/** One line per measured combination, and whatever goes wrong. */
final class ProgressOutput implements OutputFormat {
  private final long began = System.nanoTime();

  @Override
  public void endBenchmark(BenchmarkResult result) {
    if (result != null) {
      System.out.printf(
          Locale.ROOT,
          "[%4.0f s] %s %.4g %s%n",
          (System.nanoTime() - began) * 1e-9,
          Measured.key(result.getParams()),
          Measured.median(result.getPrimaryResult()),
          result.getPrimaryResult().getScoreUnit());
    }
  }

  @Override
  public void startBenchmark(BenchmarkParams parameters) {}

  @Override
  public void iteration(BenchmarkParams benchmark, IterationParams parameters, int iteration) {}

  @Override
  public void iterationResult(
      BenchmarkParams benchmark, IterationParams parameters, int iteration, IterationResult data) {}

  @Override
  public void startRun() {}

  @Override
  public void endRun(Collection<RunResult> results) {}

  @Override
  public void print(String text) {}

  @Override
  public void println(String text) {
    if (text.contains("<failure>") || text.contains("Exception") || text.startsWith("\tat ")) {
      System.out.println(text);
    }
  }

  @Override
  public void flush() {
    System.out.flush();
  }

  @Override
  public void close() {}

  @Override
  public void verbosePrintln(String text) {}

  @Override
  public void write(int b) {}

  @Override
  public void write(byte[] bytes) throws IOException {}
}
