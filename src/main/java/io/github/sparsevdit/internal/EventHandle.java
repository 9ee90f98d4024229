package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.ReentrantLock;

/** A CUDA event. Its calls exclude each other, so that none meets a destroyed one. */
public final class EventHandle {
  private final BackendHandle backend;
  private final MemorySegment pointer;
  private final ReentrantLock lock = new ReentrantLock();
  private final Leaks.Handle leak;
  private boolean closed; // guarded by the lock

  public EventHandle(BackendHandle backend) {
    backend.keep();
    try {
      this.backend = backend;
      pointer = create(backend);
      leak = Leaks.track(this, "a CUDA event");
    } catch (RuntimeException | Error failure) {
      backend.release();
      throw failure;
    }
  }

  static MemorySegment create(BackendHandle backend) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
      NativeCalls.check(error -> Svdit.svdit_event_create(backend.pointer(), out, error));
      return out.get(ValueLayout.ADDRESS, 0);
    }
  }

  static void destroy(BackendHandle backend, MemorySegment event) {
    NativeCalls.checkQuietly(error -> Svdit.svdit_event_destroy(backend.pointer(), event, error));
  }

  /** Marks the work given to stream so far. */
  public void record(StreamHandle stream) {
    onStream(
        stream,
        error -> Svdit.svdit_event_record(backend.pointer(), pointer, stream.pointer(), error));
  }

  /** Work given to stream from now on waits for the mark. */
  public void holdBack(StreamHandle stream) {
    onStream(
        stream,
        error -> Svdit.svdit_stream_wait(backend.pointer(), stream.pointer(), pointer, error));
  }

  /** Whether the marked work is done. */
  public boolean done() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment done = arena.allocate(ValueLayout.JAVA_INT);
      open(error -> Svdit.svdit_event_query(backend.pointer(), pointer, done, error));
      return done.get(ValueLayout.JAVA_INT, 0) != 0;
    }
  }

  /** Waits until the marked work is done. */
  public void synchronize() {
    open(error -> Svdit.svdit_event_synchronize(backend.pointer(), pointer, error));
  }

  /** Milliseconds between begin's mark and this one's, both done. */
  public float millisecondsSince(EventHandle begin) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.JAVA_FLOAT);
      begin.open(
          outer -> {
            open(
                error ->
                    Svdit.svdit_event_elapsed(
                        backend.pointer(), begin.pointer, pointer, out, error));
            return Svdit.SVDIT_OK();
          });
      return out.get(ValueLayout.JAVA_FLOAT, 0);
    }
  }

  /** Frees it; may be called twice. Work that waits for its mark goes on waiting. */
  public void close() {
    lock.lock();
    try {
      if (!closed) {
        closed = true;
        leak.closed();
        destroy(backend, pointer);
        backend.release();
      }
    } finally {
      lock.unlock();
    }
  }

  private void onStream(StreamHandle stream, NativeCalls.Call call) {
    stream.enter();
    try {
      open(call);
    } finally {
      stream.exit();
    }
  }

  private void open(NativeCalls.Call call) {
    lock.lock();
    try {
      if (closed) {
        throw new IllegalStateException("the CUDA event is closed");
      }
      NativeCalls.check(call);
    } finally {
      lock.unlock();
    }
  }
}
