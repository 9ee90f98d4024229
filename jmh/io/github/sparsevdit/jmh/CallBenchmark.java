package io.github.sparsevdit.jmh;

import io.github.sparsevdit.AttentionCall;
import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
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

/** What a call costs beside its arithmetic: checks, holds and structs around one downcall. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
// Compiled before it goes on, so that a busy machine does not measure half-compiled code.
@Fork(value = 1, jvmArgsAppend = "-Xbatch")
@Warmup(iterations = 4, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 9, time = 200, timeUnit = TimeUnit.MILLISECONDS)
public class CallBenchmark {
  static final int HEAD_DIM = 8;
  static final Sequence SEQUENCE = Sequence.video(1, 1, 16);
  private static final MethodHandle RAW = rawHandle();

  /** skip returns at once; full does a little arithmetic, so that what it computes can be seen. */
  @Param({"skip", "full"})
  public String mode;

  private Backend backend;
  private AttentionPlan plan;
  private AttentionCall call;
  private Tensor q;
  private Tensor k;
  private Tensor v;
  private Tensor out;
  private RawCall raw;
  private MemorySegment rawPlan;
  private MemorySegment rawArgs;
  private MemorySegment rawError;

  @Setup(Level.Trial)
  public void setUp() {
    backend = Backend.cpu(new CpuOptions(1, CpuOptions.Tier.AUTO));
    plan = backend.plan(SEQUENCE, ElementType.FP32, HEAD_DIM, 16, List.of(patternOf(mode)));
    call = plan.call().textValid(0);
    q = tensor(1);
    k = tensor(2);
    v = tensor(3);
    out = tensor(4);
    raw = new RawCall(backend, SEQUENCE, patternOf(mode), HEAD_DIM, q, k, v, out);
    rawPlan = raw.plan();
    rawArgs = raw.args();
    rawError = raw.error();
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    raw.close();
    plan.close();
    List.of(q, k, v, out).forEach(Tensor::close);
    backend.close();
  }

  @Benchmark
  public void run() {
    plan.run(q, k, v, out);
  }

  /** A call with options. */
  @Benchmark
  public void runWithOptions() {
    call.run(q, k, v, out);
  }

  /** The handle that jextract made, on structs that are never touched again: the floor. */
  @Benchmark
  public int rawInvokeExact() throws Throwable {
    return (int) RAW.invokeExact(rawPlan, rawArgs, MemorySegment.NULL, rawError);
  }

  Tensor[] tensors() {
    return new Tensor[] {q, k, v, out};
  }

  static Pattern patternOf(String name) {
    return name.equals("skip") ? Pattern.skip() : Pattern.full();
  }

  private Tensor tensor(int seed) {
    return backend
        .allocate(ElementType.FP32, 1, 1, SEQUENCE.tokens(), HEAD_DIM)
        .copyFrom(Inputs.gaussian(new java.util.Random(seed), SEQUENCE.tokens() * HEAD_DIM));
  }

  private static MethodHandle rawHandle() {
    Backend.library(); // the bindings look their symbols up in it
    return Svdit.svdit_attention$handle();
  }
}
