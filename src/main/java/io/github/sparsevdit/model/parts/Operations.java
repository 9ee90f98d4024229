package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CudaStream;
import io.github.sparsevdit.DeviceBuffer;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_convert_args;
import io.github.sparsevdit.bindings.svdit_linear_args;
import io.github.sparsevdit.bindings.svdit_matrix;
import io.github.sparsevdit.bindings.svdit_norm_args;
import io.github.sparsevdit.bindings.svdit_residual_args;
import io.github.sparsevdit.bindings.svdit_rope_args;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.HeldCalls;
import io.github.sparsevdit.internal.MatrixLibrary;
import io.github.sparsevdit.internal.Memory;
import io.github.sparsevdit.internal.NativeCalls;
import io.github.sparsevdit.internal.StreamHandle;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A denoiser's operations besides attention, on tensors of the backend. A tensor of one dimension
 * is a row; one of more than two is the rows of its last dimension, and must be contiguous.
 *
 * <p>On the CPU calls block until done; on CUDA they are given to the default stream, and what
 * reads their results waits. They make no garbage. For one thread at a time. A call holds its
 * tensors and the backend open while it runs: another thread that closes one of them waits, or is
 * refused where the arena is its own.
 */
public class Operations implements AutoCloseable {
  private static final long WORKSPACE_BYTES = 32L << 20;
  private static final int MOST_TENSORS = 16;

  private final Backend owner;
  private final BackendHandle backend;
  private final int device;
  private CudaStream stream; // null: the default stream, or the CPU
  private StreamHandle queue; // null on the CPU
  private final Memory[] used = new Memory[MOST_TENSORS]; // by the operation that is described
  private int usedCount;
  private Tensor staging; // on a device: what is loaded and not yet converted
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment error = NativeCalls.newError(arena);
  private final MemorySegment linear = svdit_linear_args.allocate(arena);
  private final MemorySegment norm = svdit_norm_args.allocate(arena);
  private final MemorySegment rope = svdit_rope_args.allocate(arena);
  private final MemorySegment residual = svdit_residual_args.allocate(arena);
  private final MemorySegment convert = svdit_convert_args.allocate(arena);

  /**
   * Opens the backend's matrix library if it has none yet; BackendUnavailableException where there
   * is none.
   */
  public Operations(Backend backend) {
    owner = backend;
    this.backend = backend.handle();
    queue = this.backend.defaultStream();
    device = this.backend.hostMemory() ? Memory.HOST : this.backend.device();
    MatrixLibrary.open(this.backend);
    svdit_linear_args.struct_bytes(linear, (int) svdit_linear_args.sizeof());
    svdit_norm_args.struct_bytes(norm, (int) svdit_norm_args.sizeof());
    svdit_rope_args.struct_bytes(rope, (int) svdit_rope_args.sizeof());
    svdit_residual_args.struct_bytes(residual, (int) svdit_residual_args.sizeof());
    svdit_convert_args.struct_bytes(convert, (int) svdit_convert_args.sizeof());
  }

  /** Gives what follows to a stream; null for the default one. CUDA only. */
  void on(CudaStream stream) {
    this.stream = stream;
    queue = stream == null ? backend.defaultStream() : stream.streamHandle();
  }

  /** out = the plan's attention; valid holds the count of real text keys, null for all. */
  public void attend(
      AttentionPlan plan, Tensor q, Tensor k, Tensor v, DeviceBuffer valid, Tensor out) {
    if (stream == null && valid == null) {
      plan.run(q, k, v, out);
    } else if (valid == null) {
      plan.run(q, k, v, out, stream);
    } else {
      plan.call().textValid(valid).run(q, k, v, out, stream);
    }
  }

  /**
   * y = activation(x weightᵀ + bias), accumulated in fp32.
   *
   * @param x [n, in], BF16 or FP32
   * @param weight [out, in], of x's type
   * @param bias [out], or null
   * @param y [n, out], of x's type or FP32
   */
  public void linear(Tensor x, Tensor weight, Tensor bias, Activation activation, Tensor y) {
    usedCount = 0;
    svdit_linear_args.activation(linear, activation.ordinal());
    matrix(linear, svdit_linear_args.x$offset(), x);
    matrix(linear, svdit_linear_args.weight$offset(), weight);
    matrix(linear, svdit_linear_args.bias$offset(), bias);
    written(linear, svdit_linear_args.y$offset(), y);
    begin(true);
    try {
      useOwnWorkspace();
      check(
          HeldCalls.linear(
              backend.pointer(),
              linear,
              pointer(),
              error,
              memory(x),
              memory(weight),
              memory(bias),
              memory(y)));
    } finally {
      end();
    }
  }

  /**
   * y = n · weight + bias, then · (1 + scale) + shift, where n is a row less its mean, divided by
   * its deviation. weight, bias, scale and shift may be null; scale and shift are FP32. y may be x.
   */
  public void layerNorm(
      Tensor x, Tensor weight, Tensor bias, Tensor scale, Tensor shift, float epsilon, Tensor y) {
    norm(Svdit.SVDIT_NORM_LAYER(), x, weight, bias, scale, shift, 0, epsilon, y);
  }

  /** The layer norm of each group of columns apart, with one weight and bias for all groups. */
  void layerNormGroups(Tensor x, Tensor weight, Tensor bias, long group, float epsilon, Tensor y) {
    norm(Svdit.SVDIT_NORM_LAYER(), x, weight, bias, null, null, group, epsilon, y);
  }

  /**
   * y = x · weight / root mean square, of each group of columns apart.
   *
   * @param group columns per group; 0 for one group of all
   */
  public void rmsNorm(Tensor x, Tensor weight, long group, float epsilon, Tensor y) {
    norm(Svdit.SVDIT_NORM_RMS(), x, weight, null, null, null, group, epsilon, y);
  }

  private void norm(
      int kind,
      Tensor x,
      Tensor weight,
      Tensor bias,
      Tensor scale,
      Tensor shift,
      long group,
      float epsilon,
      Tensor y) {
    usedCount = 0;
    describeNorm(kind, x, weight, bias, scale, shift, group, epsilon, y);
    begin(false);
    try {
      check(
          HeldCalls.norm(
              backend.pointer(),
              norm,
              pointer(),
              error,
              memory(x),
              memory(weight),
              memory(bias),
              memory(scale),
              memory(shift),
              memory(y)));
    } finally {
      end();
    }
  }

  private void describeNorm(
      int kind,
      Tensor x,
      Tensor weight,
      Tensor bias,
      Tensor scale,
      Tensor shift,
      long group,
      float epsilon,
      Tensor y) {
    svdit_norm_args.kind(norm, kind);
    matrix(norm, svdit_norm_args.x$offset(), x);
    written(norm, svdit_norm_args.y$offset(), y);
    matrix(norm, svdit_norm_args.weight$offset(), weight);
    matrix(norm, svdit_norm_args.bias$offset(), bias);
    matrix(norm, svdit_norm_args.scale$offset(), scale);
    matrix(norm, svdit_norm_args.shift$offset(), shift);
    svdit_norm_args.group_columns(norm, group);
    svdit_norm_args.epsilon(norm, epsilon);
  }

  /**
   * x = x · weight / root mean square, of each group of columns apart, then rotated is rotated as
   * by {@link #rope}: all or consecutive rows of x. On CUDA in one pass.
   */
  public void rmsNormRotated(
      Tensor x,
      Tensor weight,
      long group,
      float epsilon,
      Tensor rotated,
      int headDim,
      RotaryTable table) {
    normRotated(Svdit.SVDIT_NORM_RMS(), x, weight, null, group, epsilon, rotated, headDim, table);
  }

  /** The same with a layer norm. */
  public void layerNormRotated(
      Tensor x,
      Tensor weight,
      Tensor bias,
      long group,
      float epsilon,
      Tensor rotated,
      int headDim,
      RotaryTable table) {
    normRotated(Svdit.SVDIT_NORM_LAYER(), x, weight, bias, group, epsilon, rotated, headDim, table);
  }

  private void normRotated(
      int kind,
      Tensor x,
      Tensor weight,
      Tensor bias,
      long group,
      float epsilon,
      Tensor rotated,
      int headDim,
      RotaryTable table) {
    usedCount = 0;
    describeNorm(kind, x, weight, bias, null, null, group, epsilon, x);
    describeRope(rotated, headDim, table);
    begin(false);
    try {
      check(
          HeldCalls.normRope(
              backend.pointer(),
              norm,
              rope,
              pointer(),
              error,
              memory(x),
              memory(weight),
              memory(bias),
              memory(table.cosine()),
              memory(table.sine())));
    } finally {
      end();
    }
  }

  /**
   * sum += gate · x, then y = the layer norm of sum, as {@link #residual} and {@link #layerNorm} do
   * it. On CUDA in one pass. y may be x.
   */
  public void residualNorm(
      Tensor x,
      Tensor gate,
      Tensor sum,
      Tensor weight,
      Tensor bias,
      Tensor scale,
      Tensor shift,
      float epsilon,
      Tensor y) {
    usedCount = 0;
    describeResidual(x, gate, sum);
    describeNorm(Svdit.SVDIT_NORM_LAYER(), sum, weight, bias, scale, shift, 0, epsilon, y);
    begin(false);
    try {
      check(
          HeldCalls.residualNorm(
              backend.pointer(),
              residual,
              norm,
              pointer(),
              error,
              memory(x),
              memory(gate),
              memory(sum),
              memory(weight),
              memory(bias),
              memory(scale),
              memory(shift),
              memory(y)));
    } finally {
      end();
    }
  }

  /** Rotates the pairs of each head of x [tokens, heads · headDim] in place. */
  void rope(Tensor x, int headDim, RotaryTable table) {
    usedCount = 0;
    describeRope(x, headDim, table);
    begin(false);
    try {
      check(
          HeldCalls.rope(
              backend.pointer(),
              rope,
              pointer(),
              error,
              memory(x),
              memory(table.cosine()),
              memory(table.sine())));
    } finally {
      end();
    }
  }

  private void describeRope(Tensor x, int headDim, RotaryTable table) {
    svdit_rope_args.head_dim(rope, headDim);
    written(rope, svdit_rope_args.x$offset(), x);
    matrix(rope, svdit_rope_args.cosine$offset(), table.cosine());
    matrix(rope, svdit_rope_args.sine$offset(), table.sine());
  }

  /** y += gate · x; gate is an FP32 row, or null for 1; y is FP32 or of x's type. */
  public void residual(Tensor x, Tensor gate, Tensor y) {
    usedCount = 0;
    describeResidual(x, gate, y);
    begin(false);
    try {
      check(
          HeldCalls.residual(
              backend.pointer(), residual, pointer(), error, memory(x), memory(gate), memory(y)));
    } finally {
      end();
    }
  }

  private void describeResidual(Tensor x, Tensor gate, Tensor y) {
    matrix(residual, svdit_residual_args.x$offset(), x);
    matrix(residual, svdit_residual_args.gate$offset(), gate);
    written(residual, svdit_residual_args.y$offset(), y);
  }

  /** to = from in to's type; from lies in host memory or where the backend computes. */
  public void load(Tensor from, Tensor to) {
    if (from == to) {
      return;
    }
    if (from.memory().device() == device) {
      convert(from, Activation.NONE, to);
    } else if (from.type() == to.type()) {
      to.copyFrom(from);
    } else {
      if (staging == null
          || staging.type() != from.type()
          || !Arrays.equals(staging.shape(), from.shape())) {
        close();
        staging = owner.allocate(from.type(), from.shape());
      }
      convert(staging.copyFrom(from), Activation.NONE, to);
    }
  }

  /**
   * to = from, which lies where the backend computes; to is a host tensor of its type and shape.
   */
  public void fetch(Tensor from, Tensor to) {
    if (from != to) {
      to.copyFrom(from);
    }
  }

  /** Frees what loading took. */
  @Override
  public void close() {
    if (staging != null) {
      staging.close();
      staging = null;
    }
  }

  /** y = activation(x), in y's type. */
  public void convert(Tensor x, Activation activation, Tensor y) {
    usedCount = 0;
    svdit_convert_args.activation(convert, activation.ordinal());
    matrix(convert, svdit_convert_args.x$offset(), x);
    written(convert, svdit_convert_args.y$offset(), y);
    begin(false);
    try {
      check(HeldCalls.convert(backend.pointer(), convert, pointer(), error, memory(x), memory(y)));
    } finally {
      end();
    }
  }

  /** The default stream takes the backend's workspace; others may run beside it. */
  private void useOwnWorkspace() {
    if (stream != null) {
      svdit_linear_args.workspace(
          linear, MemorySegment.ofAddress(queue.workspace(WORKSPACE_BYTES)));
      svdit_linear_args.workspace_bytes(linear, WORKSPACE_BYTES);
    } else if (queue != null) {
      svdit_linear_args.workspace(linear, MemorySegment.NULL);
      svdit_linear_args.workspace_bytes(linear, 0);
    }
  }

  /**
   * Every operation is between begin and end, which keep the backend open and, on CUDA, the stream
   * together and what its work uses known.
   */
  void begin(boolean product) {
    backend.keepAlive();
    int count = usedCount;
    usedCount = 0;
    if (queue == null) {
      return;
    }
    try {
      queue.enter();
    } catch (RuntimeException | Error closed) {
      backend.release();
      throw closed;
    }
    try {
      for (int i = 0; i < count; i++) {
        queue.uses(used[i]);
        used[i] = null;
      }
    } catch (RuntimeException | Error closed) {
      end();
      throw closed;
    }
  }

  void end() {
    if (queue != null) {
      queue.exit();
    }
    backend.release();
  }

  private MemorySegment pointer() {
    return queue == null ? MemorySegment.NULL : queue.pointer();
  }

  private void check(int status) {
    if (status != Svdit.SVDIT_OK()) {
      throw NativeCalls.failure(status, error);
    }
  }

  private static final long DATA = svdit_matrix.data$offset();
  private static final long EXTENT = svdit_matrix.extent_bytes$offset();
  private static final long ROWS = svdit_matrix.rows$offset();
  private static final long COLUMNS = svdit_matrix.columns$offset();
  private static final long ROW_STRIDE = svdit_matrix.row_stride$offset();
  private static final long ELEMENT_TYPE = svdit_matrix.element_type$offset();

  /** What a call must name so that it stays open meanwhile. */
  private static MemorySegment memory(Tensor tensor) {
    return tensor == null ? MemorySegment.NULL : tensor.memory().segment();
  }

  private void requireReachable(Tensor tensor) {
    Memory memory = tensor.memory();
    if (memory.device() != device) {
      throw new IllegalArgumentException(
          tensor + " does not lie where this backend computes, and is not copied silently");
    }
    if (!memory.alive()) {
      throw new IllegalStateException("the memory of " + tensor + " is closed");
    }
    if (!memory.segment().isAccessibleBy(Thread.currentThread())) {
      throw new IllegalArgumentException(
          tensor
              + " lies in an arena confined to another thread; expected one this thread may access");
    }
  }

  /** Writes the svdit_matrix of what the call writes to. */
  private void written(MemorySegment args, long offset, Tensor tensor) {
    if (tensor.memory().segment().isReadOnly()) {
      throw new IllegalArgumentException("the memory of " + tensor + " is read-only");
    }
    matrix(args, offset, tensor);
  }

  /** Writes the svdit_matrix at offset; null writes one without data. */
  private void matrix(MemorySegment args, long offset, Tensor tensor) {
    if (tensor == null) {
      args.set(ValueLayout.JAVA_LONG, offset + DATA, 0);
      return;
    }
    requireReachable(tensor);
    used[usedCount++] = tensor.memory();
    int rank = tensor.rank();
    long columns = tensor.size(rank - 1);
    if (tensor.stride(rank - 1) != 1 && columns != 1 || rank > 2 && !tensor.contiguous()) {
      throw new IllegalArgumentException("not a matrix with contiguous columns: " + tensor);
    }
    args.set(ValueLayout.JAVA_LONG, offset + DATA, tensor.address());
    args.set(ValueLayout.JAVA_LONG, offset + EXTENT, tensor.spanBytes());
    args.set(ValueLayout.JAVA_LONG, offset + ROWS, tensor.elements() / columns);
    args.set(ValueLayout.JAVA_LONG, offset + COLUMNS, columns);
    args.set(
        ValueLayout.JAVA_LONG,
        offset + ROW_STRIDE,
        rank == 2 ? Math.max(tensor.stride(0), columns) : columns);
    args.set(ValueLayout.JAVA_INT, offset + ELEMENT_TYPE, tensor.type().code());
  }
}
