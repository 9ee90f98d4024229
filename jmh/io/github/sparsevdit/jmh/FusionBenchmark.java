package io.github.sparsevdit.jmh;

import io.github.sparsevdit.AttentionCall;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import java.util.ArrayList;
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

/** Head fusion: a layer of mixed modes as one call of grouped heads, and head by head. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
public class FusionBenchmark {
  private static final List<String> MODES =
      List.of("full", "diagonal-0.2", "multi-diagonal-0.2", "vertical-stripe-0.3");

  /** Heads in all, as in Wan 1.3B: every mode has three. */
  static final int HEADS = 12;

  /** Video frames of 16 × 16 tokens. */
  @Param({"1", "4", "16"})
  public int frames;

  private SvditAttention attention;
  private AttentionCall call;

  @Setup(Level.Trial)
  public void setUp() {
    Inputs inputs = inputs(frames);
    attention =
        new SvditAttention(inputs, ElementType.BF16, CpuOptions.Tier.AUTO, patterns(frames));
    call = attention.plan.call();
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    attention.close();
  }

  @Benchmark
  public void oneCall() {
    attention.run();
  }

  @Benchmark
  public void headByHead() {
    for (int head = 0; head < HEADS; head++) {
      call.heads(head, head + 1).run(attention.q, attention.k, attention.v, attention.out);
    }
  }

  SvditAttention computed() {
    return attention;
  }

  static Inputs inputs(int frames) {
    return new Inputs(Sequence.video(frames, 16, 16), HEADS, 128);
  }

  static List<Pattern> patterns(int frames) {
    List<Pattern> patterns = new ArrayList<>();
    for (int head = 0; head < HEADS; head++) {
      patterns.add(Patterns.of(MODES.get(head % MODES.size()), Sequence.video(frames, 16, 16)));
    }
    return patterns;
  }
}
