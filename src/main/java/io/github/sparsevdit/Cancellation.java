package io.github.sparsevdit;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/**
 * Cancels calls on the CPU. Pass it to each call; any thread may then cancel them. A running call
 * ends after its current query blocks. A call that has not begun does not begin. Both throw {@link
 * java.util.concurrent.CancellationException}. Their {@code out} and {@code lse} are then
 * undefined; plan and backend stay usable. A call that is about to finish may return normally.
 *
 * <p>Works from any thread, for any number of calls, one after the other or at once; it stays
 * cancelled. Calls on CUDA refuse it with {@link UnsupportedException}: work queued on a device
 * cannot be recalled.
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
