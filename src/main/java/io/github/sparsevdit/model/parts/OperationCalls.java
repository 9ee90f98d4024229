package io.github.sparsevdit.model.parts;

import static io.github.sparsevdit.internal.Access.memory;

import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_matrix;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.HeldCall;
import io.github.sparsevdit.internal.Memory;
import io.github.sparsevdit.internal.NativeCalls;
import io.github.sparsevdit.internal.StreamHandle;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * How operations reach native code: their tensors are written into the arguments' structs and
 * checked, stay open while the call runs, and on CUDA are known to the stream that the work is
 * given to. A call is {@link #describe}, {@link #matrix} and {@link #written} for its tensors, then
 * {@link #make} between {@link #begin} and {@link #end}. It makes no garbage. For one thread at a
 * time.
 */
final class OperationCalls {
  private static final int MOST_TENSORS = 8;
  private static final long DATA = svdit_matrix.data$offset();
  private static final long EXTENT = svdit_matrix.extent_bytes$offset();
  private static final long ROWS = svdit_matrix.rows$offset();
  private static final long COLUMNS = svdit_matrix.columns$offset();
  private static final long ROW_STRIDE = svdit_matrix.row_stride$offset();
  private static final long ELEMENT_TYPE = svdit_matrix.element_type$offset();

  private final BackendHandle backend;
  private final int device;
  private StreamHandle queue; // null on the CPU
  private final Memory[] used = new Memory[MOST_TENSORS]; // by the call that is described
  private int usedCount;
  private final MemorySegment[] arguments = new MemorySegment[HeldCall.ARGUMENTS];
  private final MemorySegment error = NativeCalls.newError(Arena.ofAuto());

  OperationCalls(BackendHandle backend) {
    this.backend = backend;
    queue = backend.defaultStream();
    device = backend.hostMemory() ? Memory.HOST : backend.device();
  }

  /** Gives what follows to a stream; null for the default one. */
  void on(StreamHandle stream) {
    queue = stream == null ? backend.defaultStream() : stream;
  }

  /** Whether a tensor lies where the backend computes. */
  boolean reaches(Tensor tensor) {
    return memory(tensor).device() == device;
  }

  /** Begins the description of a call. */
  void describe() {
    usedCount = 0;
  }

  /** Writes the svdit_matrix of what the call writes to. */
  void written(MemorySegment args, long offset, Tensor tensor) {
    if (memory(tensor).segment().isReadOnly()) {
      throw new IllegalArgumentException("the memory of " + tensor + " is read-only");
    }
    matrix(args, offset, tensor);
  }

  /** Writes the svdit_matrix at offset; null writes one without data. */
  void matrix(MemorySegment args, long offset, Tensor tensor) {
    if (tensor == null) {
      args.set(ValueLayout.JAVA_LONG, offset + DATA, 0);
      return;
    }
    requireReachable(tensor);
    use(memory(tensor));
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

  private void requireReachable(Tensor tensor) {
    Memory memory = memory(tensor);
    if (!reaches(tensor)) {
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

  private void use(Memory memory) {
    for (int i = 0; i < usedCount; i++) {
      if (used[i] == memory) {
        return;
      }
    }
    used[usedCount++] = memory;
  }

  /**
   * Every call is between begin and end, which keep the backend open and, on CUDA, the stream
   * together and what its work uses known.
   */
  void begin() {
    backend.keepAlive();
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
      for (int i = 0; i < usedCount; i++) {
        queue.uses(used[i]);
      }
    } catch (RuntimeException | Error closed) {
      end();
      throw closed;
    }
  }

  /** Ends what begin() began. */
  void end() {
    if (queue != null) {
      queue.exit();
    }
    backend.release();
  }

  /** Inside: memory of the stream for the work to come. */
  MemorySegment workspace(long bytes) {
    return MemorySegment.ofAddress(queue.workspace(bytes));
  }

  /**
   * Inside: makes the call that is described.
   *
   * @param second the arguments of a second operation; null where there is one
   */
  void make(HeldCall call, MemorySegment first, MemorySegment second) {
    int count = 0;
    arguments[count++] = backend.pointer();
    arguments[count++] = first;
    if (second != null) {
      arguments[count++] = second;
    }
    arguments[count++] = queue == null ? MemorySegment.NULL : queue.pointer();
    arguments[count++] = error;
    for (int i = 0; i < usedCount; i++) {
      arguments[count++] = used[i].segment();
    }
    Arrays.fill(arguments, count, arguments.length, MemorySegment.NULL);
    int status = call.call(arguments);
    if (status != Svdit.SVDIT_OK()) {
      throw NativeCalls.failure(status, error);
    }
  }
}
