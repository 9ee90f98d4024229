package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_convert_args;
import io.github.sparsevdit.bindings.svdit_linear_args;
import io.github.sparsevdit.bindings.svdit_multiply_args;
import io.github.sparsevdit.bindings.svdit_norm_args;
import io.github.sparsevdit.bindings.svdit_residual_args;
import io.github.sparsevdit.bindings.svdit_rope_args;
import io.github.sparsevdit.bindings.svdit_softmax_args;
import io.github.sparsevdit.bindings.svdit_transpose_args;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.HeldCall;
import io.github.sparsevdit.internal.MatrixLibrary;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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

  private final Backend owner;
  final OperationCalls calls;
  private CudaStream stream; // null: the default stream, or the CPU
  private Tensor staging; // on a device: what is loaded and not yet converted
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment linear = svdit_linear_args.allocate(arena);
  private final MemorySegment norm = svdit_norm_args.allocate(arena);
  private final MemorySegment rope = svdit_rope_args.allocate(arena);
  private final MemorySegment residual = svdit_residual_args.allocate(arena);
  private final MemorySegment convert = svdit_convert_args.allocate(arena);
  private final MemorySegment softmax = svdit_softmax_args.allocate(arena);
  private final MemorySegment multiply = svdit_multiply_args.allocate(arena);
  private final MemorySegment transpose = svdit_transpose_args.allocate(arena);

  /**
   * Opens the backend's matrix library if it has none yet; BackendUnavailableException where there
   * is none.
   */
  public Operations(Backend backend) {
    owner = backend;
    calls = new OperationCalls(Access.handle(backend));
    MatrixLibrary.open(Access.handle(backend));
    svdit_linear_args.struct_bytes(linear, (int) svdit_linear_args.sizeof());
    svdit_norm_args.struct_bytes(norm, (int) svdit_norm_args.sizeof());
    svdit_rope_args.struct_bytes(rope, (int) svdit_rope_args.sizeof());
    svdit_residual_args.struct_bytes(residual, (int) svdit_residual_args.sizeof());
    svdit_convert_args.struct_bytes(convert, (int) svdit_convert_args.sizeof());
    svdit_softmax_args.struct_bytes(softmax, (int) svdit_softmax_args.sizeof());
    svdit_multiply_args.struct_bytes(multiply, (int) svdit_multiply_args.sizeof());
    svdit_transpose_args.struct_bytes(transpose, (int) svdit_transpose_args.sizeof());
  }

  /** Gives what follows to a stream; null for the default one. CUDA only. */
  void on(CudaStream stream) {
    this.stream = stream;
    calls.on(stream == null ? null : Access.stream(stream));
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
    calls.describe();
    svdit_linear_args.activation(linear, activation.ordinal());
    calls.matrix(linear, svdit_linear_args.x$offset(), x);
    calls.matrix(linear, svdit_linear_args.weight$offset(), weight);
    calls.matrix(linear, svdit_linear_args.bias$offset(), bias);
    calls.written(linear, svdit_linear_args.y$offset(), y);
    begin(true);
    try {
      useOwnWorkspace();
      calls.make(HeldCall.LINEAR, linear, null);
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

  /** The same of whole rows, then SiLU. */
  public void rmsNormSilu(Tensor x, Tensor weight, float epsilon, Tensor y) {
    svdit_norm_args.activation(norm, Activation.SILU.ordinal());
    try {
      norm(Svdit.SVDIT_NORM_RMS(), x, weight, null, null, null, 0, epsilon, y);
    } finally {
      svdit_norm_args.activation(norm, Activation.NONE.ordinal());
    }
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
    calls.describe();
    describeNorm(kind, x, weight, bias, scale, shift, group, epsilon, y);
    run(HeldCall.NORM, norm, null);
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
    calls.matrix(norm, svdit_norm_args.x$offset(), x);
    calls.written(norm, svdit_norm_args.y$offset(), y);
    calls.matrix(norm, svdit_norm_args.weight$offset(), weight);
    calls.matrix(norm, svdit_norm_args.bias$offset(), bias);
    calls.matrix(norm, svdit_norm_args.scale$offset(), scale);
    calls.matrix(norm, svdit_norm_args.shift$offset(), shift);
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
    calls.describe();
    describeNorm(kind, x, weight, bias, null, null, group, epsilon, x);
    describeRope(rotated, headDim, table.cosine(), table.sine(), Svdit.SVDIT_PAIRS_INTERLEAVED());
    run(HeldCall.NORM_ROPE, norm, rope);
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
    calls.describe();
    describeResidual(x, gate, sum);
    describeNorm(Svdit.SVDIT_NORM_LAYER(), sum, weight, bias, scale, shift, 0, epsilon, y);
    run(HeldCall.RESIDUAL_NORM, residual, norm);
  }

  /** Rotates the pairs of each head of x [tokens, heads · headDim] in place. */
  void rope(Tensor x, int headDim, RotaryTable table) {
    calls.describe();
    describeRope(x, headDim, table.cosine(), table.sine(), Svdit.SVDIT_PAIRS_INTERLEAVED());
    run(HeldCall.ROPE, rope, null);
  }

  /**
   * The same where a pair is a number of a head's first half and one of its second, as Llama has
   * it.
   *
   * @param cosine FP32 [tokens, headDim / 2]
   * @param sine as cosine
   */
  public void ropeHalves(Tensor x, int headDim, Tensor cosine, Tensor sine) {
    calls.describe();
    describeRope(x, headDim, cosine, sine, Svdit.SVDIT_PAIRS_HALVES());
    run(HeldCall.ROPE, rope, null);
  }

  private void describeRope(Tensor x, int headDim, Tensor cosine, Tensor sine, int pairs) {
    svdit_rope_args.head_dim(rope, headDim);
    svdit_rope_args.pairs(rope, pairs);
    calls.written(rope, svdit_rope_args.x$offset(), x);
    calls.matrix(rope, svdit_rope_args.cosine$offset(), cosine);
    calls.matrix(rope, svdit_rope_args.sine$offset(), sine);
  }

  /** y += gate · x; gate is an FP32 row, or null for 1; y is FP32 or of x's type. */
  public void residual(Tensor x, Tensor gate, Tensor y) {
    calls.describe();
    describeResidual(x, gate, y);
    run(HeldCall.RESIDUAL, residual, null);
  }

  private void describeResidual(Tensor x, Tensor gate, Tensor y) {
    calls.matrix(residual, svdit_residual_args.x$offset(), x);
    calls.matrix(residual, svdit_residual_args.gate$offset(), gate);
    calls.written(residual, svdit_residual_args.y$offset(), y);
  }

  /** to = from in to's type; from lies in host memory or where the backend computes. */
  public void load(Tensor from, Tensor to) {
    if (from == to) {
      return;
    }
    if (calls.reaches(from)) {
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
    calls.describe();
    svdit_convert_args.activation(convert, activation.ordinal());
    calls.matrix(convert, svdit_convert_args.x$offset(), x);
    calls.written(convert, svdit_convert_args.y$offset(), y);
    run(HeldCall.CONVERT, convert, null);
  }

  /**
   * y = softmax(scale x + bias) of each row over its first valid columns, 0 in the others.
   *
   * @param bias FP32, of x's shape; null for none
   * @param y of x's shape; may be x
   */
  public void softmax(Tensor x, float scale, Tensor bias, long valid, Tensor y) {
    softmax(x, scale, bias, valid, 0, 0, y);
  }

  /**
   * The same where rows come in groups that see their own columns and those before: row r of all
   * rows sees the columns below (r / group + 1) group.
   *
   * @param firstRow which of all rows x begins with
   */
  public void softmax(
      Tensor x, float scale, Tensor bias, long valid, long firstRow, long group, Tensor y) {
    calls.describe();
    svdit_softmax_args.scale(softmax, scale);
    svdit_softmax_args.valid(softmax, valid);
    svdit_softmax_args.first_row(softmax, firstRow);
    svdit_softmax_args.group(softmax, group);
    calls.matrix(softmax, svdit_softmax_args.x$offset(), x);
    calls.matrix(softmax, svdit_softmax_args.bias$offset(), bias);
    calls.written(softmax, svdit_softmax_args.y$offset(), y);
    run(HeldCall.SOFTMAX, softmax, null);
  }

  /** y = a · b, element by element; y may be a or b. */
  public void multiply(Tensor a, Tensor b, Tensor y) {
    calls.describe();
    calls.matrix(multiply, svdit_multiply_args.a$offset(), a);
    calls.matrix(multiply, svdit_multiply_args.b$offset(), b);
    calls.written(multiply, svdit_multiply_args.y$offset(), y);
    run(HeldCall.MULTIPLY, multiply, null);
  }

  /** y [columns, rows] = x [rows, columns] transposed; of one type. */
  public void transpose(Tensor x, Tensor y) {
    calls.describe();
    calls.matrix(transpose, svdit_transpose_args.x$offset(), x);
    calls.written(transpose, svdit_transpose_args.y$offset(), y);
    run(HeldCall.TRANSPOSE, transpose, null);
  }

  /** Makes the call that is described, of one operation or of two in one. */
  final void run(HeldCall call, MemorySegment first, MemorySegment second) {
    begin(false);
    try {
      calls.make(call, first, second);
    } finally {
      end();
    }
  }

  /**
   * Every operation is between begin and end, which a benchmark times.
   *
   * @param product whether it is a product of matrices
   */
  protected void begin(boolean product) {
    calls.begin();
  }

  protected void end() {
    calls.end();
  }

  /** The default stream takes the backend's workspace; others may run beside it. */
  private void useOwnWorkspace() {
    if (stream != null) {
      svdit_linear_args.workspace(linear, calls.workspace(WORKSPACE_BYTES));
      svdit_linear_args.workspace_bytes(linear, WORKSPACE_BYTES);
    } else {
      svdit_linear_args.workspace(linear, MemorySegment.NULL);
      svdit_linear_args.workspace_bytes(linear, 0);
    }
  }
}
