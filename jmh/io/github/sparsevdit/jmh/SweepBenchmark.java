package io.github.sparsevdit.jmh;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.tensor.ElementType;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
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

/** The search's passes, which score many candidates each, against one dense pass. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
public class SweepBenchmark {
  static final int HEADS = 2;
  static final Sequence SEQUENCE = Sequence.video(4, 32, 32);

  @Param({"BF16", "FP32"})
  public ElementType type;

  private SvditAttention attention;

  @Setup(Level.Trial)
  public void setUp() {
    attention = SvditAttention.dense(inputs(), type);
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    attention.close();
  }

  @Benchmark
  public void densePass() {
    attention.run();
  }

  /** Every window of the diagonal mode. */
  @Benchmark
  public SweepResult diagonal() {
    return sweep(SweepRequest.byDistance(Order.FRAME_MAJOR, queryBlocks(), stops()));
  }

  /** Every window of the multi-diagonal mode. */
  @Benchmark
  public SweepResult multiDiagonal() {
    return sweep(SweepRequest.byDistance(Order.TOKEN_MAJOR, queryBlocks(), stops()));
  }

  /** Every number of vertical stripes. */
  @Benchmark
  public SweepResult verticalStripe() {
    long[] sizes = IntStream.rangeClosed(1, blocks()).mapToLong(i -> i).toArray();
    return sweep(SweepRequest.ranked(Order.FRAME_MAJOR, queryBlocks(), ranked(), sizes));
  }

  /** Where attention mass lies, by which stripes and anchors are chosen. */
  @Benchmark
  public SweepResult mass() {
    return sweep(SweepRequest.byDistance(Order.FRAME_MAJOR, queryBlocks()).withMass());
  }

  SvditAttention computed() {
    return attention;
  }

  static Inputs inputs() {
    return new Inputs(SEQUENCE, HEADS, 128);
  }

  static int blocks() {
    return SEQUENCE.videoBlocks(Patterns.BLOCK);
  }

  static int[] queryBlocks() {
    return IntStream.range(0, blocks()).toArray();
  }

  /** Windows one block apart, up to all but one: the most a search could ask for. */
  static long[] stops() {
    return IntStream.range(0, blocks() - 1).mapToLong(i -> (long) i * Patterns.BLOCK).toArray();
  }

  /** All blocks, in an order of each head's own. */
  static int[][] ranked() {
    int blocks = blocks();
    int[][] listed = new int[HEADS][];
    for (int head = 0; head < HEADS; head++) {
      int step = 2 * head + 5; // odd, and the number of blocks is a power of two
      listed[head] = IntStream.range(0, blocks).map(i -> i * step % blocks).toArray();
    }
    return listed;
  }

  private SweepResult sweep(SweepRequest request) {
    return attention.plan.sweep(request, attention.q, attention.k, attention.v);
  }
}
