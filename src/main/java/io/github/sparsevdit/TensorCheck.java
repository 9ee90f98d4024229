package io.github.sparsevdit;

import static io.github.sparsevdit.internal.Access.buffer;
import static io.github.sparsevdit.internal.Access.memory;

import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.Memory;
import io.github.sparsevdit.internal.StreamHandle;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/** What a plan demands of the tensors of a call. Passing checks make no garbage. */
final class TensorCheck {
  private final ElementType type;
  private final int heads;
  private final int queryTokens;
  private final int keyTokens;
  private final int headDim;
  private final int maskableKeys;
  private final int device;
  private final AttentionPlan plan;

  TensorCheck(AttentionPlan plan, BackendHandle backend) {
    this.plan = plan;
    type = plan.tensorType();
    heads = plan.patterns().size();
    queryTokens = plan.queryTokens();
    keyTokens = plan.keyTokens();
    headDim = plan.headDim();
    maskableKeys = plan.maskableKeys();
    device = backend.hostMemory() ? Memory.HOST : backend.device();
  }

  /** Checks the tensors of an attention call; returns the batch size. */
  long attention(Tensor q, Tensor k, Tensor v, Tensor out) {
    long batch = inputs(q, k, v);
    tensor("out", out, batch, queryTokens);
    writable("out", out);
    apart("q", q, "out", out);
    apart("k", k, "out", out);
    apart("v", v, "out", out);
    return batch;
  }

  /** Checks what is read; returns the batch size. */
  long inputs(Tensor q, Tensor k, Tensor v) {
    if (q == null || k == null || v == null) {
      throw new IllegalArgumentException("q, k and v are needed: " + q + ", " + k + ", " + v);
    }
    long batch = q.rank() == 4 ? q.size(0) : 1;
    if (batch < 1 || batch > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "q is " + q + ": expected a batch of 1 to " + Integer.MAX_VALUE);
    }
    tensor("q", q, batch, queryTokens);
    tensor("k", k, batch, keyTokens);
    tensor("v", v, batch, keyTokens);
    return batch;
  }

  /** Checks the options of a call whose tensors passed. */
  void call(AttentionCall call, long batch, Tensor q, Tensor k, Tensor v, Tensor out) {
    if (call.lse != null) {
      lse(call.lse, batch);
      apart("q", q, "lse", call.lse);
      apart("k", k, "lse", call.lse);
      apart("v", v, "lse", call.lse);
      apart("lse", call.lse, "out", out);
    }
    textValid(call.textValidBuffer, batch);
    scale(call.scale);
    Tensor workspace = call.workspace;
    if (workspace != null) {
      reachable("workspace", workspace);
      writable("workspace", workspace);
      long needed = plan.workspaceBytes((int) batch);
      if (!workspace.contiguous() || workspace.spanBytes() < needed) {
        throw new IllegalArgumentException(
            "workspace is "
                + workspace
                + ", "
                + workspace.spanBytes()
                + " bytes: expected "
                + needed
                + " contiguous bytes");
      }
    }
  }

  void textValid(int[] textValid, long batch) {
    if (textValid == null) {
      return;
    }
    if (textValid.length != batch) {
      throw new IllegalArgumentException(
          "textValid has " + textValid.length + " counts; expected one per batch row, " + batch);
    }
    for (int row = 0; row < textValid.length; row++) {
      if (textValid[row] < 0 || textValid[row] > maskableKeys) {
        throw new IllegalArgumentException(
            "textValid of batch row "
                + row
                + " is "
                + textValid[row]
                + "; expected 0 to "
                + maskableKeys);
      }
    }
  }

  private void textValid(DeviceBuffer counts, long batch) {
    if (counts == null) {
      return;
    }
    if (buffer(counts).device() != device) {
      throw new IllegalArgumentException(
          "textValid lies "
              + place(buffer(counts).device())
              + "; this plan computes "
              + place(device)
              + " and copies nothing silently");
    }
    if (!buffer(counts).alive()) {
      throw new IllegalStateException("textValid is closed");
    }
    if (!holdsInts(buffer(counts), batch)) {
      throw new IllegalArgumentException(
          "textValid is " + counts + ": expected " + batch + " ints, one per batch row");
    }
  }

  private static boolean holdsInts(Memory memory, long count) {
    return memory.address() % Integer.BYTES == 0 && memory.bytes() / Integer.BYTES >= count;
  }

  /** Refuses what cannot be done where this plan computes. */
  void cancellation(Cancellation cancellation) {
    if (cancellation != null && device != Memory.HOST) {
      throw new UnsupportedException(
          "a cancellation is given, but this plan computes "
              + place(device)
              + ", where what is queued cannot be called back: expected none");
    }
  }

  /** The stream's work, where this plan's calls are queued. */
  StreamHandle queue(CudaStream stream) {
    if (stream == null) {
      throw new IllegalArgumentException("stream is null");
    }
    if (device == Memory.HOST) {
      throw new IllegalArgumentException(
          "this plan computes on the CPU, where calls block: expected no stream, got " + stream);
    }
    if (stream.device() != device) {
      throw new IllegalArgumentException(
          stream + ": expected a stream of CUDA device " + device + ", where this plan computes");
    }
    return Access.stream(stream);
  }

  static void scale(float scale) {
    if (!Float.isFinite(scale)) {
      throw new IllegalArgumentException("scale must be finite, 0 for 1/sqrt(head dim): " + scale);
    }
  }

  private void lse(Tensor lse, long batch) {
    boolean shaped =
        lse.rank() == 3
            && lse.size(0) == batch
            && lse.size(1) == heads
            && lse.size(2) == queryTokens;
    if (lse.type() != ElementType.FP32 || !shaped || !lse.contiguous()) {
      throw new IllegalArgumentException(
          "lse is "
              + lse
              + ": expected contiguous FP32 ["
              + batch
              + ", "
              + heads
              + ", "
              + queryTokens
              + "]");
    }
    reachable("lse", lse);
    writable("lse", lse);
  }

  private void tensor(String name, Tensor tensor, long batch, long tokens) {
    if (tensor == null) {
      throw new IllegalArgumentException(name + " is needed");
    }
    boolean shaped =
        tensor.rank() == 4
            && tensor.size(0) == batch
            && tensor.size(1) == heads
            && tensor.size(2) == tokens
            && tensor.size(3) == headDim;
    if (tensor.type() != type || !shaped) {
      throw new IllegalArgumentException(
          name
              + " is "
              + tensor
              + ": expected "
              + type
              + " ["
              + batch
              + ", "
              + heads
              + ", "
              + tokens
              + ", "
              + headDim
              + "]");
    }
    if (tensor.stride(3) != 1 && headDim > 1) {
      throw new IllegalArgumentException(
          name + " is " + tensor + ": expected the head dim contiguous (stride 1)");
    }
    reachable(name, tensor);
  }

  /** Whether native code may touch it from this thread: on the right side, open, aligned. */
  void reachable(String name, Tensor tensor) {
    Memory memory = memory(tensor);
    if (memory.device() != device) {
      throw new IllegalArgumentException(
          name
              + " lies "
              + place(memory.device())
              + "; this plan computes "
              + place(device)
              + " and copies nothing silently");
    }
    usable(name, tensor);
  }

  /** The same for what native code reads in host memory wherever the plan computes. */
  static void reachableOnHost(String name, Tensor tensor) {
    if (memory(tensor).device() != Memory.HOST) {
      throw new IllegalArgumentException(
          name + " lies " + place(memory(tensor).device()) + ": expected host memory");
    }
    usable(name, tensor);
  }

  private static void usable(String name, Tensor tensor) {
    Memory memory = memory(tensor);
    if (!memory.alive()) {
      throw new IllegalStateException(name + " is closed");
    }
    if (memory.device() == Memory.HOST
        && !memory.segment().isAccessibleBy(Thread.currentThread())) {
      throw new IllegalArgumentException(
          name
              + " lies in an arena confined to another thread; expected one this thread may"
              + " access");
    }
    if ((tensor.address() & (tensor.type().bytes() - 1)) != 0) { // bytes is a power of two
      throw new IllegalArgumentException(
          name
              + " begins at address 0x"
              + Long.toHexString(tensor.address())
              + ": expected a multiple of "
              + tensor.type().bytes());
    }
  }

  private static void writable(String name, Tensor tensor) {
    if (memory(tensor).segment().isReadOnly()) {
      throw new IllegalArgumentException(
          name + " is read-only: expected memory that can be written");
    }
    for (int dim = 0; dim < tensor.rank(); dim++) {
      if (tensor.stride(dim) == 0 && tensor.size(dim) > 1) {
        throw new IllegalArgumentException(name + " is " + tensor + ": its elements overlap");
      }
    }
  }

  private static void apart(String name, Tensor tensor, String outName, Tensor out) {
    long begin = tensor.address();
    long outBegin = out.address();
    if (begin < outBegin + out.spanBytes() && outBegin < begin + tensor.spanBytes()) {
      throw new IllegalArgumentException(
          name + " and " + outName + " overlap in memory: expected an output of its own");
    }
  }

  private static String place(int device) {
    return device == Memory.HOST ? "in host memory" : "on CUDA device " + device;
  }
}
