package io.github.sparsevdit.cuda;

import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.EventHandle;

/**
 * A mark in a CUDA stream's work. Another stream, or a thread, can wait for it. Two of them measure
 * the time between. Works from any thread.
 */
public final class CudaEvent implements AutoCloseable {
  static {
    Access.ofEvents(CudaEvent::new);
  }

  private final EventHandle handle;

  private CudaEvent(EventHandle handle) {
    this.handle = handle;
  }

  /** Marks all work given to stream so far; an earlier mark is replaced. */
  public void record(CudaStream stream) {
    handle.record(stream.streamHandle());
  }

  /** Whether the marked work is done; true if nothing was ever marked. */
  public boolean done() {
    return handle.done();
  }

  /** Waits until the marked work is done; DeviceException if something went wrong in it. */
  public void synchronize() {
    handle.synchronize();
  }

  /**
   * Milliseconds of the device's clock from begin's mark to this one; DeviceException unless both
   * were recorded and are done.
   */
  public float millisecondsSince(CudaEvent begin) {
    return handle.millisecondsSince(begin.handle);
  }

  EventHandle handle() {
    return handle;
  }

  @Override
  public void close() {
    handle.close();
  }
}
