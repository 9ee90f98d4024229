package io.github.sparsevdit.cuda;

import io.github.sparsevdit.internal.GraphHandle;
import io.github.sparsevdit.internal.StreamHandle;

/**
 * Work captured from a stream ({@link CudaStream#capture}), which can be launched many times, each
 * at the cost of one launch. It owns the workspaces of the captured calls. The plans and tensors
 * stay the caller's: once one of them is closed, launches are refused.
 */
public final class CudaGraph implements AutoCloseable {
  private final GraphHandle handle;

  private CudaGraph(GraphHandle handle) {
    this.handle = handle;
  }

  static CudaGraph capture(StreamHandle stream, Runnable work) {
    return new CudaGraph(GraphHandle.capture(stream, work));
  }

  /**
   * Queues the work on stream, which may be another than it was captured from, and returns at once.
   * IllegalStateException if the graph or something its work uses is closed.
   */
  public void launch(CudaStream stream) {
    handle.launch(stream.streamHandle());
  }

  /** Waits for its launches and frees it. May be called twice. */
  @Override
  public void close() {
    handle.close();
  }
}
