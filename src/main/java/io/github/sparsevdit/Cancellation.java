package io.github.sparsevdit;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/**
 * Ends calls on the CPU early. Whoever begins the calls gives each this object; any thread may
 * cancel them. A running call then ends after the query blocks in hand, one that has not begun does
 * not begin, and both throw {@link java.util.concurrent.CancellationException}; their {@code out}
 * and {@code lse} are then undefined, plan and backend as usable as before. A call that was done
 * when it would have looked returns as ever.
 *
 * <p>Works from any thread, for any number of calls, one after the other or at once; it stays
 * cancelled. Calls on CUDA refuse one with {@link UnsupportedException}: what is queued on a device
 * cannot be called back.
 */
public final class Cancellation {
  private static final VarHandle FLAG = ValueLayout.JAVA_INT.varHandle();

  // Native code reads it, so it lies where the collector does not move it; freed with this object.
  private final MemorySegment flag = Arena.ofAuto().allocate(ValueLayout.JAVA_INT);

  /** Ends the calls; a second time does nothing. */
  public void cancel() {
    FLAG.setVolatile(flag, 0L, 1);
  }

  /** Whether {@link #cancel} was called. */
  public boolean cancelled() {
    return (int) FLAG.getVolatile(flag, 0L) != 0;
  }

  /** What native code reads; the caller retains this object meanwhile. */
  MemorySegment flag() {
    return flag;
  }
}
