package io.github.sparsevdit.jmh;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;

/** The results of a run by the names of what was measured. */
final class Measured {
  private final Map<String, RunResult> results = new LinkedHashMap<>();

  Measured(Collection<RunResult> results) {
    results.forEach(result -> this.results.put(key(result.getParams()), result));
  }

  /** {@code "Tier.attention headDim=64 tier=AVX2"}, the parameters in alphabetical order. */
  static String key(BenchmarkParams params) {
    String[] names = params.getBenchmark().split("\\.");
    StringBuilder key = new StringBuilder();
    key.append(names[names.length - 2].replace("Benchmark", ""))
        .append('.')
        .append(names[names.length - 1]);
    params.getParamsKeys().stream()
        .sorted()
        .forEach(name -> key.append(' ').append(name + '=' + params.getParam(name)));
    return key.toString();
  }

  /** The median of the samples, or of the iterations where calls were not timed one by one. */
  static double median(Result<?> result) {
    return result.getStatistics().getPercentile(50);
  }

  /** Median in the benchmark's unit; empty if it was not measured. */
  OptionalDouble median(String key) {
    RunResult result = results.get(key);
    return result == null
        ? OptionalDouble.empty()
        : OptionalDouble.of(median(result.getPrimaryResult()));
  }

  /** Median over the iterations of what an {@code @AuxCounters} field counted. */
  OptionalDouble counted(String key, String field) {
    RunResult result = results.get(key);
    Result<?> counter = result == null ? null : result.getSecondaryResults().get(field);
    return counter == null ? OptionalDouble.empty() : OptionalDouble.of(median(counter));
  }

  /** Bytes of garbage per operation. */
  OptionalDouble garbage(String key) {
    RunResult result = results.get(key);
    Result<?> bytes =
        result == null ? null : result.getSecondaryResults().get("gc.alloc.rate.norm");
    return bytes == null ? OptionalDouble.empty() : OptionalDouble.of(bytes.getScore());
  }

  /** Different values a parameter was measured with, for keys that begin so. */
  List<String> values(String begin, String parameter) {
    List<String> values = new ArrayList<>();
    results.forEach(
        (key, result) -> {
          String value = result.getParams().getParam(parameter);
          if (key.startsWith(begin) && !values.contains(value)) {
            values.add(value);
          }
        });
    return values;
  }
}
