package io.github.sparsevdit.internal;

import java.lang.foreign.Arena;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;

/**
 * A shared arena whose close() may be called twice and waits for the native calls that use its
 * memory.
 */
public final class SharedArena implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final AtomicBoolean closing = new AtomicBoolean();

  public Arena arena() {
    return arena;
  }

  /** Whether close() has not begun. */
  public boolean open() {
    return !closing.get();
  }

  /** Closes it; false if someone else did, or is about to. */
  public boolean closeOnce() {
    if (!beginClose()) {
      return false;
    }
    finishClose();
    return true;
  }

  /** open() is false from here on; false if it was. Whoever gets true calls finishClose(). */
  public boolean beginClose() {
    return closing.compareAndSet(false, true);
  }

  /** Closes it, once no native call uses it any more. */
  public void finishClose() {
    for (long pause = 1; ; pause = Math.min(2 * pause, 1000)) {
      try {
        arena.close();
        return;
      } catch (
          IllegalStateException inUse) { // a native call holds it: try until the last one is done
        LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(pause));
      }
    }
  }

  @Override
  public void close() {
    closeOnce();
  }
}
