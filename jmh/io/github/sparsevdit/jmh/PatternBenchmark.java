package io.github.sparsevdit.jmh;

import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Every mode at several densities, against dense attention times the density. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 400, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
public class PatternBenchmark {
  @Param({"BF16", "FP32"})
  public ElementType type;

  @Param({"64", "128"})
  public int headDim;

  @Param({
    "full",
    "diagonal-0.1",
    "diagonal-0.3",
    "diagonal-0.6",
    "multi-diagonal-0.1",
    "multi-diagonal-0.3",
    "multi-diagonal-0.6",
    "vertical-stripe-0.1",
    "vertical-stripe-0.3",
    "vertical-stripe-0.6",
    "blocks-0.1",
    "blocks-0.3",
    "blocks-0.6"
  })
  public String pattern;

  private SvditAttention attention;

  @Setup(Level.Trial)
  public void setUp() {
    Inputs inputs = inputs(headDim);
    attention =
        new SvditAttention(
            inputs, type, CpuOptions.Tier.AUTO, List.of(Patterns.of(pattern, inputs.sequence)));
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    attention.close();
  }

  @Benchmark
  public void attention() {
    attention.run();
  }

  SvditAttention computed() {
    return attention;
  }

  static Inputs inputs(int headDim) {
    return new Inputs(Sequence.video(8, 32, 32), 1, headDim);
  }
}
