package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The objects that keep wrapped memory, which a stream's queued work uses: reachable until that
 * work is done. Guarded by the stream's lock.
 */
final class StreamOwners {
  private static final int KEPT = 256; // before their work is asked for

  /** Those of some of the work. */
  private static final class Batch {
    final Object[] list = new Object[KEPT];
    int count;
    MemorySegment recorded; // an event after the last of their work
  }

  private final BackendHandle backend;
  private final MemorySegment stream;
  private Batch now = new Batch();
  private Batch before;

  StreamOwners(BackendHandle backend, MemorySegment stream) {
    this.backend = backend;
    this.stream = stream;
  }

  /** Keeps the owner of memory that the work to come uses. */
  void keep(Memory memory) {
    if (memory.keptBy == now) {
      return;
    }
    if (now.count == KEPT) {
      if (before != null) {
        MemorySegment event = before.recorded;
        NativeCalls.check(error -> Svdit.svdit_event_synchronize(backend.pointer(), event, error));
        forget(before);
      }
      now.recorded = EventHandle.create(backend);
      MemorySegment event = now.recorded;
      NativeCalls.check(error -> Svdit.svdit_event_record(backend.pointer(), event, stream, error));
      before = now;
      now = new Batch();
    }
    now.list[now.count++] = memory.owner();
    memory.keptBy = now;
  }

  /** All work is done. */
  void forget() {
    forget(now);
    if (before != null) {
      forget(before);
    }
    now = now.count == 0 ? now : new Batch();
    before = null;
  }

  private void forget(Batch those) {
    Arrays.fill(those.list, 0, those.count, null);
    if (those.recorded != null) {
      EventHandle.destroy(backend, those.recorded);
      those.recorded = null;
    }
  }
}
