package io.github.sparsevdit.cuda;

import static io.github.sparsevdit.internal.Access.memory;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.DeviceCopy;
import io.github.sparsevdit.internal.Memory;
import io.github.sparsevdit.internal.StreamHandle;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;

/**
 * A CUDA stream: an ordered queue of device work. A call on a stream returns before its work is
 * done; {@link #synchronize} waits for it. What is closed while a stream's work uses it (tensors,
 * plans, graphs) waits for that work.
 *
 * <p>Calls without a stream go to CUDA's legacy default stream. It and the streams of {@link
 * Backend#stream} wait for each other. Streams of other libraries need not.
 *
 * <p>Works from any thread; the work of one call is contiguous in the stream. All calls on a stream
 * share one workspace, as large as the largest of them needs.
 */
public final class CudaStream implements AutoCloseable {
  static {
    Access.ofStreams(stream -> ((CudaStream) stream).handle, CudaStream::new);
  }

  private final StreamHandle handle;

  private CudaStream(StreamHandle handle) {
    this.handle = handle;
  }

  /**
   * As {@link #wrap(long, int, Object)} for a stream of device 0, which the caller must not destroy
   * earlier.
   */
  public static CudaStream wrap(long handle) {
    return wrap(handle, 0, null);
  }

  /**
   * A stream that another library owns. It is neither made nor destroyed here. The caller closes
   * the result before the stream is destroyed; closing waits for the work queued through it.
   *
   * @param handle the cudaStream_t (or CUstream); 0 is the legacy default stream
   * @param device the CUDA device it belongs to
   * @param owner retained (reachable) as long as the result is, or null
   * @throws BackendUnavailableException if there is no such device
   */
  public static CudaStream wrap(long handle, int device, Object owner) {
    requireDevice(device);
    return new CudaStream(StreamHandle.wrap(BackendHandle.shared(device), handle, owner));
  }

  static void requireDevice(int device) {
    if (device < 0) {
      throw new IllegalArgumentException("device must be at least 0: " + device);
    }
  }

  /** The cudaStream_t. */
  public long handle() {
    return handle.pointer().address();
  }

  /** The CUDA device it belongs to. */
  public int device() {
    return handle.backend().device();
  }

  /**
   * Waits until all work queued so far is done. DeviceException if it failed, IllegalStateException
   * while the stream is captured.
   */
  public void synchronize() {
    handle.synchronize();
  }

  /** Work queued from now on begins after the event's mark is reached. */
  public void waitFor(CudaEvent event) {
    event.handle().holdBack(handle);
  }

  /**
   * Queues a copy of from's elements to to, which has the same type and shape; both are contiguous.
   * Each is on this stream's device or in pinned memory ({@link Backend#allocatePinned}), at least
   * one on the device. Java must not read or write the pinned memory before the copy is done.
   */
  public void copy(Tensor from, Tensor to) {
    if (from.type() != to.type() || !Arrays.equals(from.shape(), to.shape())) {
      throw new IllegalArgumentException(
          "cannot copy " + from + " into " + to + ": shape and type must agree");
    }
    if (!from.contiguous() || !to.contiguous()) {
      throw new IllegalArgumentException(
          "copies on a stream need contiguous tensors: " + from + ", " + to);
    }
    requireReachable(from);
    requireReachable(to);
    if (memory(from).device() == Memory.HOST && memory(to).device() == Memory.HOST) {
      throw new IllegalArgumentException(
          "both tensors lie in host memory: a stream copies to or from its device");
    }
    if (memory(to).segment().isReadOnly()) {
      throw new IllegalArgumentException("the memory of " + to + " is read-only");
    }
    DeviceCopy.queue(
        handle,
        memory(to),
        to.address() - memory(to).address(),
        memory(from),
        from.address() - memory(from).address(),
        from.spanBytes());
  }

  /**
   * Runs work on this thread, and records what it queues on this stream instead of doing it. Each
   * launch of the graph reads and writes the same memory. Only its contents may change between
   * launches, so {@code textValid} must be a {@link DeviceBuffer}.
   *
   * <p>Inside, nothing may wait for the device (no {@code synchronize()}, no {@code copyTo} of a
   * device tensor), or use the legacy default stream. Other threads that use the default stream, or
   * this one, wait until the capture ends. An exception inside is rethrown, and nothing is
   * captured.
   *
   * @return the graph, which the caller closes
   */
  public CudaGraph capture(Runnable work) {
    return CudaGraph.capture(handle, work);
  }

  /**
   * Waits for the work queued through this object. Destroys the stream if {@link Backend#stream}
   * made it.
   */
  @Override
  public void close() {
    handle.close();
  }

  StreamHandle streamHandle() {
    return handle;
  }

  @Override
  public String toString() {
    return "CUDA stream 0x" + Long.toHexString(handle()) + " of device " + device();
  }

  private void requireReachable(Tensor tensor) {
    Memory memory = memory(tensor);
    boolean here = memory.device() == Memory.HOST ? memory.pinned() : memory.device() == device();
    if (!here) {
      throw new IllegalArgumentException(
          tensor
              + " lies in "
              + (memory.device() == Memory.HOST
                  ? "host memory that is not pinned"
                  : "memory of CUDA device " + memory.device())
              + ": expected memory of device "
              + device()
              + " or of Backend.allocatePinned");
    }
    if (!memory.alive()) {
      throw new IllegalStateException("the memory of " + tensor + " is closed");
    }
  }
}
