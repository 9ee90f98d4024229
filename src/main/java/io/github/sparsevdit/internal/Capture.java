package io.github.sparsevdit.internal;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/** What a graph will need of what is queued while it is captured. */
final class Capture {
  private final BackendHandle backend;
  private final Set<StreamUsed> used = Collections.newSetFromMap(new IdentityHashMap<>());
  private final List<Long> workspaces = new ArrayList<>();
  private long bytes; // of the last workspace

  Capture(BackendHandle backend) {
    this.backend = backend;
  }

  void add(StreamUsed one) {
    used.add(one);
  }

  /** One for all, for they run one after the other; a larger one where it is too small. */
  long workspace(long needed) {
    if (workspaces.isEmpty() || bytes < needed) {
      workspaces.add(Memory.allocateRaw(backend, needed));
      bytes = needed;
    }
    return workspaces.getLast();
  }

  GraphHandle graph(MemorySegment pointer) {
    return new GraphHandle(backend, pointer, List.copyOf(used), List.copyOf(workspaces));
  }

  void drop() {
    workspaces.forEach(address -> Memory.freeRaw(backend, address));
    workspaces.clear();
  }
}
