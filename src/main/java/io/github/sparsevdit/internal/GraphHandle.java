package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/** A captured graph, what its work uses, and the workspaces it owns. */
public final class GraphHandle implements StreamUsed {
  private final BackendHandle backend;
  private final MemorySegment pointer;
  private final List<StreamUsed> used;
  private final List<Long> workspaces;
  private final StreamUses uses = new StreamUses();
  private final AtomicBoolean closed = new AtomicBoolean();
  private final Leaks.Handle leak;

  GraphHandle(
      BackendHandle backend, MemorySegment pointer, List<StreamUsed> used, List<Long> workspaces) {
    backend.keep();
    this.backend = backend;
    this.pointer = pointer;
    this.used = used;
    this.workspaces = workspaces;
    this.leak = Leaks.track(this, "a CUDA graph");
  }

  /** Captures what work queues on stream. */
  public static GraphHandle capture(StreamHandle stream, Runnable work) {
    return stream.capture(work);
  }

  /** Gives the work to stream; IllegalStateException if something it uses is closed. */
  public void launch(StreamHandle stream) {
    stream.enter();
    try {
      if (stream.capturing()) {
        throw new IllegalStateException("a graph cannot be launched into a capture");
      }
      stream.uses(this);
      for (StreamUsed one : used) {
        if (one instanceof Memory memory) {
          stream.uses(memory);
        } else {
          stream.uses(one);
        }
      }
      NativeCalls.check(error -> Svdit.svdit_graph_launch(pointer, stream.pointer(), error));
    } finally {
      stream.exit();
    }
  }

  @Override
  public StreamUses uses() {
    return uses;
  }

  @Override
  public boolean alive() {
    return !closed.get();
  }

  /** Waits for its launches, then frees it. May be called twice. */
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    leak.closed();
    uses.awaitThen(
        () -> {
          try {
            Svdit.svdit_graph_destroy(pointer);
            workspaces.forEach(address -> Memory.freeRaw(backend, address));
          } finally {
            backend.release();
          }
        });
  }

  @Override
  public String toString() {
    return "a CUDA graph";
  }
}
