package io.github.sparsevdit.internal;

import io.github.sparsevdit.InvalidArgumentException;
import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A CUDA stream with what its queued work needs: a workspace and counts ({@link StreamScratch}),
 * and the objects that keep wrapped memory, until the work that uses it is done ({@link
 * StreamOwners}).
 *
 * <p>Work is queued between enter() and exit(), so a call's pieces lie together in the stream
 * whichever threads use it.
 */
public final class StreamHandle {
  private static final long LEGACY = 1; // cudaStreamLegacy, another name of NULL

  private final BackendHandle backend;
  private final MemorySegment pointer;
  private final CaptureGate gate; // of the device, where this is its legacy default stream
  private final boolean destroys; // ours, not wrapped
  private final boolean keeps; // the backend; its default stream does not, but goes with it
  private final Object owner; // of a wrapped stream; reachable as long as this is
  private final ReentrantLock lock = new ReentrantLock();
  private final Leaks.Handle leak;
  private volatile boolean captures; // a thread captures it; its work before that is done

  // Guarded by the lock.
  private boolean closed;
  private boolean idle = true; // all that was queued through this object is done
  private Capture capture;
  private final StreamScratch scratch;
  private final StreamOwners owners;

  private StreamHandle(
      BackendHandle backend,
      MemorySegment pointer,
      boolean destroys,
      boolean keeps,
      Object owner,
      boolean tracked) {
    this.backend = backend;
    this.pointer = pointer;
    this.scratch = new StreamScratch(backend, pointer, this::finish);
    this.owners = new StreamOwners(backend, pointer);
    boolean isDefault = pointer.address() == 0 || pointer.address() == LEGACY;
    this.gate = isDefault ? CaptureGate.of(backend.device()) : null;
    this.destroys = destroys;
    this.keeps = keeps;
    this.owner = owner;
    this.leak = tracked ? Leaks.track(this, "a CUDA stream") : Leaks.untracked();
  }

  /** The legacy default stream as a backend uses it; dropped with the backend. */
  static StreamHandle ofDefault(BackendHandle backend) {
    return new StreamHandle(backend, MemorySegment.NULL, false, false, null, false);
  }

  /** A new stream. */
  public static StreamHandle create(BackendHandle backend) {
    backend.keep();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
      NativeCalls.check(error -> Svdit.svdit_stream_create(backend.pointer(), out, error));
      MemorySegment pointer = out.get(ValueLayout.ADDRESS, 0);
      return new StreamHandle(backend, pointer, true, true, null, true);
    } catch (RuntimeException | Error failure) {
      backend.release();
      throw failure;
    }
  }

  /** A stream that owner keeps open. */
  public static StreamHandle wrap(BackendHandle backend, long handle, Object owner) {
    backend.keep();
    MemorySegment pointer = MemorySegment.ofAddress(handle);
    return new StreamHandle(backend, pointer, false, true, owner, false);
  }

  public BackendHandle backend() {
    return backend;
  }

  /** The cudaStream_t. */
  public MemorySegment pointer() {
    return pointer;
  }

  /** What keeps a wrapped stream open; null where nothing need be kept. */
  public Object owner() {
    return owner;
  }

  // ---- queueing work
  // -----------------------------------------------------------------------------

  /**
   * Begins to queue work; IllegalStateException if the stream is closed. The default stream waits
   * for other threads' captures first, so the caller holds nothing that what is captured may wait
   * for; IllegalStateException where this thread captures.
   */
  public void enter() {
    lock();
    if (closed) {
      exit();
      throw new IllegalStateException("the CUDA stream is closed");
    }
    idle = false;
  }

  /** The lock, and before it the gate; exit() gives back both. */
  private void lock() {
    if (gate != null && !lock.isHeldByCurrentThread()) {
      gate.enter();
    }
    lock.lock();
  }

  /** Ends what enter() began. */
  public void exit() {
    boolean last = lock.getHoldCount() == 1;
    lock.unlock();
    if (gate != null && last) {
      gate.leave();
    }
  }

  /** Inside: the work to come uses used; IllegalStateException if it is closed. */
  public void uses(StreamUsed used) {
    used.uses().add(this);
    if (!used.alive()) {
      throw new IllegalStateException("what the stream's work would use is closed: " + used);
    }
    if (capture != null) {
      capture.add(used);
    }
  }

  /** As uses(); what another library owns is kept reachable until the work is done. */
  public void uses(Memory memory) {
    uses((StreamUsed) memory);
    if (capture == null && memory.owner() != null) {
      owners.keep(memory);
    }
  }

  /** Inside: the address of at least bytes of workspace for the work to come. */
  public long workspace(long bytes) {
    if (capture != null) {
      return capture.workspace(bytes);
    }
    return scratch.workspace(bytes);
  }

  /** Inside: the address of values on the device, for the work to come. */
  public long counts(int[] values) {
    if (capture != null) {
      throw new IllegalStateException(
          "textValid was given as an array, which a graph would never update: give a DeviceBuffer,"
              + " whose contents may change between launches");
    }
    return scratch.counts(values);
  }

  // ---- waiting
  // -----------------------------------------------------------------------------------

  /** Waits until the work queued so far is done; throws what went wrong in it. */
  public void synchronize() {
    if (!lock.isHeldByCurrentThread()) {
      Deferred.drain();
    }
    enter();
    try {
      if (capture != null) {
        throw new IllegalStateException(
            "the CUDA stream is being captured: nobody may wait for it");
      }
      finish();
    } finally {
      exit();
    }
  }

  /** As synchronize(), of whatever state: of a closed stream the work is done. */
  void await() {
    if (gate == null) {
      tryAwait();
      return;
    }
    if (settled()) {
      return;
    }
    lock();
    try {
      if (!settled()) {
        finish();
      }
    } finally {
      exit();
    }
  }

  /**
   * As await(), but false, having waited for nothing, where a capture forbids to wait: another
   * thread captures this stream, or this is the default stream and any is captured.
   */
  boolean tryAwait() {
    if (!lockUnlessCaptured()) {
      return true;
    }
    try {
      if (settled()) {
        return true;
      }
      if (gate == null) {
        finish();
        return true;
      }
      if (!gate.tryEnter()) {
        return false;
      }
      try {
        finish();
        return true;
      } catch (InvalidArgumentException captured) { // by another library
        return false;
      } finally {
        gate.leave();
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * The lock; false where another thread captures the stream. That thread keeps the lock and may
   * wait for this one, but has waited for the stream's work, and what it captures does not run yet.
   */
  private boolean lockUnlessCaptured() {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          if (lock.tryLock(1, TimeUnit.MILLISECONDS)) {
            return true;
          }
        } catch (InterruptedException e) {
          interrupted = true;
        }
        if (captures) {
          return false;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Whether there is nothing to wait for. */
  private boolean settled() {
    // Of a capture by another thread too, whose lock is not waited for: it may wait for this one.
    if (captures) {
      return true;
    }
    lock.lock();
    try {
      // What is captured by this thread does not run yet; what came before was waited for. Another
      // library's stream may have work of its own to do.
      return closed || capture != null || (idle && gate != null);
    } finally {
      lock.unlock();
    }
  }

  /** IllegalStateException where await() would throw it since this thread captures. */
  void requireAwaitable() {
    if (gate != null && !settled() && gate.capturesHere()) {
      throw new IllegalStateException(
          "work on the default stream may still use it, and this thread, which captures a CUDA"
              + " stream, may not wait for that: close it after the capture");
    }
  }

  private void finish() {
    boolean runs = false;
    try {
      NativeCalls.check(error -> Svdit.svdit_stream_synchronize(backend.pointer(), pointer, error));
      idle = true;
    } catch (InvalidArgumentException captured) { // the default stream was not waited for
      runs = true;
      throw captured;
    } finally { // after another failure nothing runs any more either
      if (!runs) {
        owners.forget();
      }
    }
  }

  // ---- capture
  // -----------------------------------------------------------------------------------

  /** Whether this thread captures the stream. */
  public boolean capturing() {
    return lock.isHeldByCurrentThread() && capture != null;
  }

  /**
   * Runs work, and gives a graph of what it queued on this stream. Other threads wait meanwhile.
   */
  GraphHandle capture(Runnable work) {
    if (gate != null) {
      throw new IllegalArgumentException(
          "the legacy default stream cannot be captured: capture one that Backend.stream() makes");
    }
    try {
      enter();
      try {
        if (capture != null) {
          throw new IllegalStateException("the CUDA stream is already being captured");
        }
        finish();
        CaptureGate others = CaptureGate.of(backend.device());
        others.beginCapture();
        captures = true;
        try {
          return captured(work);
        } finally {
          captures = false;
          others.endCapture();
        }
      } finally {
        exit();
      }
    } finally {
      Deferred.drain();
    }
  }

  private GraphHandle captured(Runnable work) {
    NativeCalls.check(error -> Svdit.svdit_capture_begin(backend.pointer(), pointer, error));
    Capture own = new Capture(backend);
    capture = own;
    try (Arena arena = Arena.ofConfined()) {
      work.run();
      capture = null;
      MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
      NativeCalls.check(error -> Svdit.svdit_capture_end(backend.pointer(), pointer, out, error));
      return own.graph(out.get(ValueLayout.ADDRESS, 0));
    } catch (RuntimeException | Error failure) {
      if (capture != null) { // thrown by work
        capture = null;
        NativeCalls.checkQuietly(
            error ->
                Svdit.svdit_capture_end(backend.pointer(), pointer, MemorySegment.NULL, error));
      }
      own.drop();
      throw failure;
    }
  }

  // ---- the end
  // -----------------------------------------------------------------------------------

  /**
   * Waits for the stream's work, then gives back what it took. May be called twice. The default
   * stream waits for other threads' captures first; IllegalStateException where this thread
   * captures.
   */
  public void close() {
    lock();
    try {
      if (closed) {
        return;
      }
      if (capture != null) {
        throw new IllegalStateException("the CUDA stream is being captured");
      }
      leak.closed();
      try {
        finish();
      } finally {
        drop();
        if (destroys) {
          NativeCalls.checkQuietly(
              error -> Svdit.svdit_stream_destroy(backend.pointer(), pointer, error));
        }
        if (keeps) {
          backend.release();
        }
      }
    } finally {
      exit();
    }
  }

  /**
   * The default stream's close(), when its backend ends, and then the rest of that; both later
   * where a capture forbids to wait. What went wrong on the stream is not thrown.
   */
  void end(Runnable rest) {
    boolean[] waited = {true};
    NativeCalls.quietly(() -> waited[0] = tryAwait());
    if (!waited[0]) {
      Deferred.add(new StreamHandle[] {this}, () -> endNow(rest));
      return;
    }
    endNow(rest);
    Deferred.drain();
  }

  private void endNow(Runnable rest) {
    lock.lock();
    try {
      drop();
    } finally {
      lock.unlock();
    }
    rest.run();
  }

  /** Frees what the stream's work used, which is done. */
  private void drop() {
    closed = true;
    scratch.free();
  }
}
