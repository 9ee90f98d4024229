package io.github.sparsevdit.internal;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A native plan, which others may share, and the slots of the calls that use it through this.
 * Whoever holds a slot keeps the plan open: taking one is the only atomic operation a call makes,
 * and close() waits until none is held.
 */
public final class PlanHandle implements StreamUsed {
  private final BackendHandle backend;
  private final PlanCache.Entry plan;
  private final Leaks.Handle leak;
  private final StreamUses uses = new StreamUses();
  private Workspaces workspaces; // null where calls take none from there
  private volatile boolean closing; // written, like slots, with this handle's lock
  private volatile CallSlot[] slots = {
    new CallSlot(), new CallSlot()
  }; // a power of two, grown when all are held

  /** Takes over plan, which came from the backend's cache, and one keep() of backend. */
  public PlanHandle(BackendHandle backend, PlanCache.Entry plan, String what) {
    this.backend = backend;
    this.plan = plan;
    this.leak = Leaks.track(this, what);
  }

  public BackendHandle backend() {
    return backend;
  }

  /** Says, before the first call, that calls take a workspace of the backend's, if it has any. */
  public void needsWorkspace() {
    workspaces = backend.workspaces();
    if (workspaces != null) {
      workspaces.addPlan();
    }
  }

  /** The svdit_plan pointer; used only while a slot is held. */
  public MemorySegment pointer() {
    return plan.plan();
  }

  /**
   * A slot of this call's own, to be released when it is done; IllegalStateException after close()
   * has begun.
   */
  public CallSlot hold() {
    CallSlot[] all = slots;
    int mask = all.length - 1;
    int start = (int) Thread.currentThread().threadId(); // so that threads meet rarely
    for (int i = 0; i <= mask; i++) {
      CallSlot slot = all[(start + i) & mask];
      if (slot.tryHold()) {
        return unlessClosing(slot);
      }
    }
    return unlessClosing(grow());
  }

  /**
   * Refuses new calls, waits for the running ones and for streams that use the plan, and gives it
   * back to the cache. May be called twice.
   */
  public void close() {
    synchronized (this) {
      if (closing) {
        return;
      }
      closing = true; // from here on slots stays as it is
    }
    leak.closed();
    for (CallSlot slot : slots) {
      for (long pause = 1; !slot.tryHold(); pause = Math.min(2 * pause, 1000)) {
        LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(pause));
      }
    }
    uses.awaitThen(
        () -> {
          try {
            backend.plans().release(plan);
            if (workspaces != null) {
              workspaces.removePlan();
            }
          } finally {
            backend.release();
          }
        });
  }

  @Override
  public StreamUses uses() {
    return uses;
  }

  @Override
  public boolean alive() {
    return !closing;
  }

  @Override
  public String toString() {
    return "a plan";
  }

  private CallSlot unlessClosing(CallSlot slot) {
    if (closing) {
      slot.release();
      throw closed();
    }
    return slot;
  }

  /** Doubles the slots; the result is one of the new ones, held. */
  private synchronized CallSlot grow() {
    if (closing) {
      throw closed();
    }
    CallSlot[] old = slots;
    CallSlot[] all = Arrays.copyOf(old, 2 * old.length);
    for (int i = old.length; i < all.length; i++) {
      all[i] = new CallSlot();
    }
    CallSlot mine = all[old.length];
    mine.tryHold();
    slots = all;
    return mine;
  }

  private static IllegalStateException closed() {
    return new IllegalStateException("the plan is closed");
  }
}
