package io.github.sparsevdit.jmh;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.search.Candidate;
import io.github.sparsevdit.search.Findings;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * The search's benchmarks against attention itself: a sweep's errors are those of the plans with
 * those patterns, and so are a search's.
 */
class SearchParityTest {
  private static final int[] STOPS = {0, 6, 20};

  @TestFactory
  Stream<DynamicTest> sweeps() {
    return BenchmarkParityTest.tests(
        SweepBenchmark.class,
        benchmark -> {
          benchmark.setUp();
          try {
            benchmark.densePass();
            float[] dense = benchmark.computed().output();
            long[] windows = SweepBenchmark.stops();
            compare(
                benchmark.type,
                Order.FRAME_MAJOR,
                dense,
                benchmark.diagonal(),
                stop -> Collections.nCopies(SweepBenchmark.HEADS, Pattern.diagonal(windows[stop])));
            compare(
                benchmark.type,
                Order.TOKEN_MAJOR,
                dense,
                benchmark.multiDiagonal(),
                stop ->
                    Collections.nCopies(
                        SweepBenchmark.HEADS, Pattern.multiDiagonal(windows[stop])));
            compare(
                benchmark.type,
                Order.FRAME_MAJOR,
                dense,
                benchmark.verticalStripe(),
                stop ->
                    Arrays.stream(SweepBenchmark.ranked())
                        .map(listed -> Arrays.stream(listed, 0, stop + 1).sorted().toArray())
                        .map(Pattern::verticalStripe)
                        .toList());
            compareMass(benchmark.type, benchmark.mass());
          } finally {
            benchmark.tearDown();
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> searches() {
    return BenchmarkParityTest.tests(
        SearchBenchmark.class,
        benchmark -> {
          benchmark.setUp();
          try {
            Findings findings = benchmark.search();
            List<Candidate> candidates = findings.candidates();
            assertEquals(
                SearchBenchmark.scores(),
                (long) RandomPoints.POINTS * SearchBenchmark.HEADS * candidates.size());
            int compared = 0;
            for (int i = 0; i < candidates.size(); i++) {
              Candidate candidate = candidates.get(i);
              boolean band =
                  candidate.mode() == Mode.DIAGONAL || candidate.mode() == Mode.MULTI_DIAGONAL;
              if (!band || candidate.listed() > 0) {
                continue; // stripes and anchors are chosen on one half and scored on the other
              }
              double[] errors = errors(benchmark.points(), findings.pattern(0, 0, 0, i));
              for (int head = 0; head < SearchBenchmark.HEADS; head++) {
                double found = findings.error(0, 0, head, i);
                // A share of the query blocks estimates what all of them give.
                double tolerance = benchmark.share == 1 ? 0.03 : 0.5;
                assertEquals(errors[head], found, tolerance * errors[head], candidate + " " + head);
                compared++;
              }
            }
            assertTrue(compared >= 2 * SearchBenchmark.HEADS, "candidates compared: " + compared);
          } finally {
            benchmark.tearDown();
          }
        });
  }

  /** A sweep's errors against the outputs of plans with those patterns, and its norms. */
  private static void compare(
      ElementType type,
      Order order,
      float[] dense,
      SweepResult sweep,
      IntFunction<List<Pattern>> patterns) {
    Inputs inputs = SweepBenchmark.inputs();
    int[] tokens = order.tokens(inputs.sequence);
    for (int stop : STOPS) {
      float[] sparse;
      double each; // how far an element of either output may lie from the exact one
      try (SvditAttention attention =
          new SvditAttention(inputs, type, CpuOptions.Tier.AUTO, patterns.apply(stop))) {
        attention.run();
        sparse = attention.output();
        each = Parity.bound(inputs, type, patterns.apply(stop), 8, sparse).bound();
      }
      double noise = 2 * each * Math.sqrt(Patterns.BLOCK * inputs.headDim);
      for (int head = 0; head < inputs.heads; head++) {
        for (int block = 0; block < SweepBenchmark.blocks(); block++) {
          double error = 0;
          double norm = 0;
          for (int i = block * Patterns.BLOCK; i < (block + 1) * Patterns.BLOCK; i++) {
            int at = (tokens[i] * inputs.heads + head) * inputs.headDim;
            for (int d = 0; d < inputs.headDim; d++) {
              double difference = (double) sparse[at + d] - dense[at + d];
              error += difference * difference;
              norm += (double) dense[at + d] * dense[at + d];
            }
          }
          String what = order + " stop " + stop + " head " + head + " query block " + block;
          // |a + e|² lies within (|a| ± |e|)².
          assertEquals(
              error,
              sweep.error(0, head, block, stop),
              noise * (2 * Math.sqrt(error) + noise),
              what);
          assertEquals(
              norm, sweep.norm(0, head, block), noise * (2 * Math.sqrt(norm) + noise), what);
        }
      }
    }
  }

  /** Where the first block's attention mass lies, by softmax in float64. */
  private static void compareMass(ElementType type, SweepResult sweep) {
    Inputs inputs = SweepBenchmark.inputs();
    int d = inputs.headDim;
    int keys = inputs.sequence.tokens();
    for (int head = 0; head < inputs.heads; head++) {
      float[] q = Parity.rounded(inputs.head(inputs.q, head), type);
      float[] k = Parity.rounded(inputs.head(inputs.k, head), type);
      double[] mass = new double[SweepBenchmark.blocks()];
      double[] p = new double[keys];
      for (int row = 0; row < Patterns.BLOCK; row++) {
        double sum = 0;
        for (int key = 0; key < keys; key++) {
          double score = 0;
          for (int i = 0; i < d; i++) {
            score += (double) q[row * d + i] * k[key * d + i];
          }
          p[key] = Math.exp(score / Math.sqrt(d));
          sum += p[key];
        }
        for (int key = 0; key < keys; key++) {
          mass[key / Patterns.BLOCK] += p[key] / sum;
        }
      }
      double tolerance = type == ElementType.BF16 ? 0x1p-8 : 1e-5;
      for (int block = 0; block < mass.length; block++) {
        assertEquals(
            mass[block],
            sweep.mass(0, head, 0, block),
            tolerance * mass[block],
            "mass of head " + head + " on key block " + block);
      }
    }
  }

  /** Per head: mean over the points of |O_i − O_0|² / Σ over heads of |O_0|². */
  private static double[] errors(RandomPoints points, Pattern pattern) {
    int heads = SearchBenchmark.HEADS;
    double[] errors = new double[heads];
    List<Pattern> dense = Collections.nCopies(heads, Pattern.full());
    for (Point point : points.all()) {
      float[] exact = output(point, dense);
      float[] sparse = output(point, Collections.nCopies(heads, pattern));
      double[] error = new double[heads];
      double norm = 0;
      for (int i = 0; i < exact.length; i++) {
        double difference = (double) sparse[i] - exact[i];
        error[i / (exact.length / heads)] += difference * difference;
        norm += (double) exact[i] * exact[i];
      }
      for (int head = 0; head < heads; head++) {
        errors[head] += error[head] / norm / RandomPoints.POINTS;
      }
    }
    return errors;
  }

  private static float[] output(Point point, List<Pattern> patterns) {
    long[] shape = point.q().shape();
    try (Backend backend = Backend.cpu();
        AttentionPlan plan =
            backend.plan(
                SearchBenchmark.SEQUENCE,
                point.q().type(),
                (int) shape[3],
                Patterns.BLOCK,
                patterns);
        Tensor out = backend.allocate(point.q().type(), shape)) {
      plan.run(point.q(), point.k(), point.v(), out);
      return out.toFloats();
    }
  }
}
