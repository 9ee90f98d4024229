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

/** Dense and sparse attention with each set of instructions. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 150, timeUnit = TimeUnit.MILLISECONDS)
public class TierBenchmark {
  @Param({"FP32", "BF16", "FP16", "E4M3"})
  public ElementType type;

  @Param({"64", "128"})
  public int headDim;

  @Param({"full", "multi-diagonal-0.3"})
  public String pattern;

  @Param({"PORTABLE", "AVX2", "AVX512", "AVX512_BF16"})
  public CpuOptions.Tier tier;

  private SvditAttention attention;

  @Setup(Level.Trial)
  public void setUp() {
    Inputs inputs = inputs(headDim);
    attention =
        new SvditAttention(inputs, type, tier, List.of(Patterns.of(pattern, inputs.sequence)));
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
    return new Inputs(Sequence.video(2, 32, 32), 1, headDim);
  }
}
