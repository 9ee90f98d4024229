package io.github.sparsevdit.jmh;

import io.github.sparsevdit.Backend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/**
 * Runs the benchmarks, keeps JMH's JSON, and prints the ratios: {@code make jmh}.
 *
 * <p>Arguments: where the JSON goes, then any of {@code quick} (fewer combinations, shorter: to see
 * that all runs) and names of benchmarks ({@code Dense}, {@code Call}); without names, all.
 */
public final class Benchmarks {
  private Benchmarks() {}

  public static void main(String[] arguments) throws RunnerException, IOException {
    Path json = Path.of(arguments[0]);
    Files.createDirectories(json.toAbsolutePath().getParent());
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .shouldFailOnError(true)
            .addProfiler(GCProfiler.class)
            .resultFormat(ResultFormatType.JSON)
            .result(json.toString());
    boolean named = false;
    for (int i = 1; i < arguments.length; i++) {
      if (arguments[i].equals("quick")) {
        quick(options);
      } else {
        options.include("\\." + arguments[i] + "Benchmark\\.");
        named = true;
      }
    }
    if (!named) {
      options.include(Benchmarks.class.getPackageName().replace(".", "\\.") + "\\.");
    }
    try (Backend backend = Backend.cpu()) {
      System.out.println(backend.describe() + ", JDK " + Runtime.version());
    }
    Collection<RunResult> results = new Runner(options.build(), new ProgressOutput()).run();
    System.out.println();
    System.out.print(new RatioTable(new Measured(results)).render());
    System.out.println("All figures: " + json);
  }

  private static void quick(ChainedOptionsBuilder options) {
    options
        .forks(1)
        .warmupIterations(1)
        .warmupTime(new TimeValue(200, TimeUnit.MILLISECONDS))
        .measurementIterations(2)
        .measurementTime(new TimeValue(100, TimeUnit.MILLISECONDS))
        .param("shape", "8x4096x64")
        .param("headDim", "128")
        .param("pattern", "full", "multi-diagonal-0.3")
        .param("frames", "4")
        .param("share", "0.25");
  }
}
