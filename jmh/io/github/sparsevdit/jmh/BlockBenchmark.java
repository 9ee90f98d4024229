package io.github.sparsevdit.jmh;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.model.wan.WanBlockRun;
import io.github.sparsevdit.tensor.ElementType;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
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

/**
 * A block of Wan 1.3B on 4,096 video and 512 text tokens: how much of its time is neither attention
 * nor a matrix product. An iteration is one run, since one takes longer than its time.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 7, time = 1, timeUnit = TimeUnit.MILLISECONDS)
public class BlockBenchmark {
  @Param("BF16")
  public ElementType type;

  private Backend backend;
  private WanBlockRun block;

  /** Where an iteration's time went, in ms. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.EVENTS)
  public static class Parts {
    public double products;
    public double attention;
    public double others;
  }

  @Setup(Level.Trial)
  public void setUp() {
    backend = Backend.cpu(new CpuOptions(Attention.THREADS, CpuOptions.Tier.AUTO));
    block = new WanBlockRun(backend, type);
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    block.close();
    backend.close();
  }

  @Benchmark
  public void block(Parts parts) {
    block.runTimed();
    parts.products += block.productMillis();
    parts.attention += block.attentionMillis();
    parts.others += block.otherMillis();
  }

  /** The largest product as the block has it: with GELU as its epilogue. */
  @Benchmark
  public void productWithGelu() {
    block.up(true);
  }

  /** The same product alone: what it is faster by is the GELU's time. */
  @Benchmark
  public void productWithoutGelu() {
    block.up(false);
  }

  WanBlockRun computed() {
    return block;
  }
}
