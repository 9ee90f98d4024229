package io.github.sparsevdit.jmh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.eval.cases.AccuracyBound;
import io.github.sparsevdit.eval.cases.ReferenceAttention;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.function.Executable;

/**
 * For every combination of every attention benchmark's parameters: whatever is timed computes the
 * attention it is named for.
 */
class BenchmarkParityTest {
  @TestFactory
  Stream<DynamicTest> dense() {
    return tests(
        DenseBenchmark.class,
        benchmark -> {
          Inputs inputs = DenseBenchmark.inputs(benchmark.shape);
          benchmark.setUp();
          try {
            benchmark.attention();
            Attention computed = benchmark.computed();
            Parity.requireAttention(
                "dense",
                inputs,
                computed.type(),
                Collections.nCopies(inputs.heads, Pattern.full()),
                24 / inputs.heads,
                computed.output());
          } finally {
            benchmark.tearDown();
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> patterns() {
    return tests(
        PatternBenchmark.class,
        benchmark -> {
          Inputs inputs = PatternBenchmark.inputs(benchmark.headDim);
          benchmark.setUp();
          try {
            benchmark.attention();
            requirePattern(benchmark.computed(), inputs, benchmark.pattern);
          } finally {
            benchmark.tearDown();
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> tiers() {
    return tests(
        TierBenchmark.class,
        benchmark -> {
          Inputs inputs = TierBenchmark.inputs(benchmark.headDim);
          Tiers.assumePresent(benchmark.tier);
          benchmark.setUp();
          try {
            benchmark.attention();
            requirePattern(benchmark.computed(), inputs, benchmark.pattern);
          } finally {
            benchmark.tearDown();
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> fusion() {
    return tests(
        FusionBenchmark.class,
        benchmark -> {
          Inputs inputs = FusionBenchmark.inputs(benchmark.frames);
          List<Pattern> patterns = FusionBenchmark.patterns(benchmark.frames);
          benchmark.setUp();
          try {
            for (Runnable way : List.<Runnable>of(benchmark::oneCall, benchmark::headByHead)) {
              forget(benchmark.computed().out);
              way.run();
              Parity.requireAttention(
                  "fusion", inputs, ElementType.BF16, patterns, 4, benchmark.computed().output());
            }
          } finally {
            benchmark.tearDown();
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> calls() {
    return tests(
        CallBenchmark.class,
        benchmark -> {
          benchmark.setUp();
          try {
            Tensor[] tensors = benchmark.tensors();
            float[][] values = new float[3][];
            for (int i = 0; i < 3; i++) {
              values[i] = tensors[i].toFloats();
            }
            boolean skip = benchmark.mode.equals("skip");
            float scale = (float) (1 / Math.sqrt(CallBenchmark.HEAD_DIM));
            ReferenceAttention.Mask mask = (query, key) -> !skip;
            double[] exact =
                ReferenceAttention.exact(
                        values[0], values[1], values[2], CallBenchmark.HEAD_DIM, scale, mask)
                    .out();
            double[] low =
                ReferenceAttention.low(
                        values[0],
                        values[1],
                        values[2],
                        CallBenchmark.HEAD_DIM,
                        scale,
                        ElementType.FP32,
                        mask)
                    .out();
            List<Executable> ways =
                List.of(benchmark::run, benchmark::runWithOptions, benchmark::rawInvokeExact);
            for (int way = 0; way < ways.size(); way++) {
              forget(tensors[3]);
              ways.get(way).execute();
              float[] out = tensors[3].toFloats();
              AccuracyBound bound = AccuracyBound.ofOutput(ElementType.FP32);
              bound.add(
                  IntStream.range(0, out.length).mapToDouble(i -> out[i]).toArray(), exact, low);
              assertTrue(bound.holds(), "way " + way + ": error " + bound.error());
            }
            assertEquals(0, benchmark.rawInvokeExact());
          } finally {
            benchmark.tearDown();
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> files() {
    return tests(
        SafetensorsBenchmark.class,
        benchmark -> {
          benchmark.setUp();
          try {
            assertEquals(SafetensorsBenchmark.TENSORS, benchmark.openFirst());
            assertEquals(SafetensorsBenchmark.TENSORS, benchmark.openAgain());
            try (Safetensors file = Safetensors.open(benchmark.file())) {
              long bytes = 0;
              for (String name : file.names()) {
                bytes += file.tensor(name).spanBytes();
              }
              assertEquals((long) benchmark.gibibytes << 30, bytes);
              Tensor last = file.tensor("blocks." + (SafetensorsBenchmark.TENSORS - 1) + ".weight");
              float[] row = last.select(0, last.size(0) - 1).toFloats();
              assertEquals(1f, row[row.length - 1]);
              assertEquals(0f, row[row.length - 2]);
            }
          } finally {
            benchmark.tearDown();
          }
        });
  }

  /** A benchmark with its parameters set. */
  @FunctionalInterface
  interface Check<T> {
    void run(T benchmark) throws Throwable;
  }

  static <T> Stream<DynamicTest> tests(Class<T> benchmark, Check<T> check) {
    List<DynamicTest> tests = new ArrayList<>();
    for (T instance : Parameters.instances(benchmark)) {
      tests.add(DynamicTest.dynamicTest(Parameters.describe(instance), () -> check.run(instance)));
    }
    return tests.stream();
  }

  /** Overwrites out, so that what stands there afterwards was computed since. */
  static void forget(Tensor out) {
    for (long head = 0; head < out.size(1); head++) {
      Tensor rows = out.select(1, head);
      float[] values = new float[(int) rows.elements()];
      Arrays.fill(values, 77);
      rows.copyFrom(values);
    }
  }

  private static void requirePattern(SvditAttention computed, Inputs inputs, String name) {
    Sequence sequence = inputs.sequence;
    Parity.requireAttention(
        name, inputs, computed.type(), List.of(Patterns.of(name, sequence)), 24, computed.output());
  }

  /** A tier that this processor lacks is skipped, and the report says so. */
  private static final class Tiers {
    static void assumePresent(CpuOptions.Tier tier) {
      try {
        Backend.probe(new CpuOptions(0, tier));
      } catch (BackendUnavailableException reason) {
        Assumptions.abort(reason.getMessage());
      }
    }
  }
}
