package io.github.sparsevdit.jmh;

import io.github.sparsevdit.pattern.Sequence;
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

/** Dense attention, this library's and its peers', on the same tensors. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 1)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
public class DenseBenchmark {
  /** Heads × tokens × head dim. */
  @Param({"8x4096x64", "1x8192x64", "1x8192x128"})
  public String shape;

  @Param public Contender contender;

  private Attention attention;

  @Setup(Level.Trial)
  public void setUp() {
    attention = contender.open(inputs(shape));
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    attention.close();
  }

  @Benchmark
  public void attention() {
    attention.run();
  }

  Attention computed() {
    return attention;
  }

  static Inputs inputs(String shape) {
    String[] sizes = shape.split("x");
    int tokens = Integer.parseInt(sizes[1]);
    return new Inputs(
        Sequence.video(tokens / 1024, 32, 32),
        Integer.parseInt(sizes[0]),
        Integer.parseInt(sizes[2]));
  }
}
