package io.github.sparsevdit.internal;

import java.util.IdentityHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Keeps the captures of a CUDA device and the use of its legacy default stream apart, for CUDA
 * breaks a capture where they meet: any number of threads capture, or any number use the default
 * stream. Thread-safe; whoever waits here holds no stream.
 */
final class CaptureGate {
  private static final ConcurrentHashMap<Integer, CaptureGate> ALL = new ConcurrentHashMap<>();
  private static final long PATIENCE_SECONDS = 60; // a capture only records, so it is short

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  // Guarded by the lock.
  private final Map<Thread, Integer> capturing = new IdentityHashMap<>(); // how many streams
  private int waiting; // to capture
  private int inside; // the default stream

  private CaptureGate() {}

  static CaptureGate of(int device) {
    return ALL.computeIfAbsent(device, ordinal -> new CaptureGate());
  }

  /** Before a capture: waits for those inside, and keeps others out until endCapture(). */
  void beginCapture() {
    lock.lock();
    try {
      waiting++;
      while (inside > 0) {
        changed.awaitUninterruptibly();
      }
      waiting--;
      capturing.merge(Thread.currentThread(), 1, Integer::sum);
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** By the thread that called beginCapture(). */
  void endCapture() {
    lock.lock();
    try {
      capturing.computeIfPresent(
          Thread.currentThread(), (thread, streams) -> streams == 1 ? null : streams - 1);
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Before the default stream is used: waits for other threads' captures, and holds new ones back
   * until leave(). IllegalStateException where this thread captures itself, or where a capture does
   * not end.
   */
  void enter() {
    lock.lock();
    try {
      if (waiting > 0 || !capturing.isEmpty()) {
        awaitCaptures();
      }
      inside++;
    } finally {
      lock.unlock();
    }
  }

  /** As enter(), but false instead of waiting or throwing. */
  boolean tryEnter() {
    lock.lock();
    try {
      if (!capturing.isEmpty()) {
        return false;
      }
      inside++;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Ends what enter() or tryEnter() began. */
  void leave() {
    lock.lock();
    try {
      if (--inside == 0) {
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether this thread captures a stream of the device. */
  boolean capturesHere() {
    lock.lock();
    try {
      return capturing.containsKey(Thread.currentThread());
    } finally {
      lock.unlock();
    }
  }

  private void awaitCaptures() {
    if (capturing.containsKey(Thread.currentThread())) {
      throw new IllegalStateException(
          "this thread captures a CUDA stream, and until that ends it may neither give the default"
              + " stream work nor wait for it: give a stream, and fill and read tensors before or"
              + " after");
    }
    boolean interrupted = false;
    long left = TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (waiting > 0 || !capturing.isEmpty()) {
      if (left <= 0) {
        throw new IllegalStateException(
            "the default stream was wanted while another thread captures a CUDA stream, which did"
                + " not end in "
                + PATIENCE_SECONDS
                + " s: does what is captured wait for this thread?");
      }
      try {
        left = changed.awaitNanos(left);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
