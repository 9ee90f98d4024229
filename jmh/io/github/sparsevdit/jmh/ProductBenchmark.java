package io.github.sparsevdit.jmh;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_linear_args;
import io.github.sparsevdit.bindings.svdit_matrix;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.MatrixLibrary;
import io.github.sparsevdit.internal.NativeCalls;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
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

/** A matrix product by oneDNN: the rate that attention's two products could reach. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 1)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
public class ProductBenchmark {
  /** Rows and columns of all three matrices. */
  static final int SIZE = 2048;

  static final double FLOP = 2.0 * SIZE * SIZE * SIZE;

  @Param({"BF16", "FP32"})
  public ElementType type;

  private final Arena arena = Arena.ofShared();
  private Backend backend;
  private Tensor x;
  private Tensor weight;
  private Tensor y;
  private MemorySegment args;

  @Setup(Level.Trial)
  public void setUp() {
    backend = Backend.cpu(new CpuOptions(Attention.THREADS, CpuOptions.Tier.AUTO));
    MatrixLibrary.open(Access.handle(backend));
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(5);
    x = backend.allocate(type, SIZE, SIZE).copyFrom(Inputs.gaussian(random, SIZE * SIZE));
    weight = backend.allocate(type, SIZE, SIZE).copyFrom(Inputs.gaussian(random, SIZE * SIZE));
    y = backend.allocate(type, SIZE, SIZE);
    args = svdit_linear_args.allocate(arena);
    svdit_linear_args.struct_bytes(args, (int) svdit_linear_args.sizeof());
    write(x, svdit_linear_args.x(args));
    write(weight, svdit_linear_args.weight(args));
    write(y, svdit_linear_args.y(args));
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    List.of(x, weight, y).forEach(Tensor::close);
    backend.close();
    arena.close();
  }

  /** y = x · weightᵀ. */
  @Benchmark
  public void product() {
    NativeCalls.check(
        error ->
            Svdit.svdit_linear(Access.handle(backend).pointer(), args, MemorySegment.NULL, error));
  }

  /** x, weight and y. */
  Tensor[] tensors() {
    return new Tensor[] {x, weight, y};
  }

  private static void write(Tensor matrix, MemorySegment to) {
    svdit_matrix.data(to, matrix.segment());
    svdit_matrix.extent_bytes(to, matrix.spanBytes());
    svdit_matrix.rows(to, matrix.size(0));
    svdit_matrix.columns(to, matrix.size(1));
    svdit_matrix.row_stride(to, matrix.stride(0));
    svdit_matrix.element_type(to, matrix.type().code());
  }
}
