package io.github.sparsevdit.internal;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Workspaces of a backend whose calls block: one for each call that runs at a time, whatever its
 * plan, kept for the next call and grown when a larger one comes. They are freed with the last plan
 * that needs any.
 */
public final class Workspaces {
  private final BackendHandle backend;
  private volatile Workspace[] all = {}; // written with this object's lock
  private int plans; // open ones that need a workspace; guarded by this

  Workspaces(BackendHandle backend) {
    this.backend = backend;
  }

  /** Memory of one running call. */
  public static final class Workspace {
    private final AtomicBoolean held = new AtomicBoolean();
    private long address; // these two by whoever holds it
    private long bytes;

    private boolean tryHold() {
      return !held.get() && held.compareAndSet(false, true);
    }

    /** Where it begins; aligned to 256 bytes. */
    public long address() {
      return address;
    }

    /** Gives it to the next call. */
    public void release() {
      held.setRelease(false);
    }
  }

  /** From here on a plan takes workspaces. */
  synchronized void addPlan() {
    plans++;
  }

  /** A plan is closed; none of its calls runs. */
  synchronized void removePlan() {
    if (--plans > 0) {
      return;
    }
    for (Workspace one : all) {
      if (one.tryHold()) { // else it is a newer plan's, which will free it
        free(one);
        one.release();
      }
    }
  }

  /**
   * A workspace of at least that many bytes, of the caller's own until it releases it;
   * OutOfNativeMemoryException where there is not that much. Makes no garbage unless it allocates.
   */
  public Workspace take(long bytes) {
    Workspace free = null;
    for (Workspace one : all) {
      if (one.tryHold()) {
        if (one.bytes >= bytes) {
          if (free != null) {
            free.release();
          }
          return one;
        }
        if (free == null) {
          free = one;
        } else {
          one.release();
        }
      }
    }
    Workspace mine = free == null ? add() : free;
    try {
      free(mine); // first, so that both need not fit
      mine.address = Memory.allocateRaw(backend, bytes);
      mine.bytes = bytes;
      return mine;
    } catch (RuntimeException | Error failure) {
      mine.release();
      throw failure;
    }
  }

  /** A new one, held. */
  private synchronized Workspace add() {
    Workspace mine = new Workspace();
    mine.tryHold();
    Workspace[] more = Arrays.copyOf(all, all.length + 1);
    more[more.length - 1] = mine;
    all = more;
    return mine;
  }

  private void free(Workspace one) {
    if (one.address != 0) {
      Memory.freeRaw(backend, one.address);
      one.address = 0;
      one.bytes = 0;
    }
  }
}
