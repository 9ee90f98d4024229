package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * What the calls on a stream share of the device's memory, because their work runs one after the
 * other: a workspace, and counts of valid text keys. Guarded by the stream's lock.
 */
final class StreamScratch {
  private final BackendHandle backend;
  private final MemorySegment stream;
  private final Runnable finish; // waits for the stream's work
  private long workspace;
  private long workspaceBytes;
  private long counts;
  private int[] countsNow = {}; // what the device's counts are, or are about to be
  private MemorySegment staging = MemorySegment.NULL;

  StreamScratch(BackendHandle backend, MemorySegment stream, Runnable finish) {
    this.backend = backend;
    this.stream = stream;
    this.finish = finish;
  }

  /** The address of at least bytes of workspace for the work to come. */
  long workspace(long bytes) {
    if (workspaceBytes < bytes) {
      dropWorkspace();
      workspace = Memory.allocateRaw(backend, bytes);
      workspaceBytes = bytes;
    }
    return workspace;
  }

  /** The address of values on the device, for the work to come. */
  long counts(int[] values) {
    if (counts != 0 && Arrays.equals(values, countsNow)) {
      return counts;
    }
    long bytes = values.length * ValueLayout.JAVA_INT.byteSize();
    if (counts == 0 || countsNow.length != values.length) {
      dropCounts();
      counts = Memory.allocateRaw(backend, bytes);
      countsNow = values.clone();
      staging = Arena.ofAuto().allocate(bytes, ValueLayout.JAVA_INT.byteAlignment());
    }
    System.arraycopy(values, 0, countsNow, 0, values.length);
    MemorySegment.copy(values, 0, staging, ValueLayout.JAVA_INT, 0, values.length);
    try { // ordinary host memory: read before the call returns
      MemorySegment to = MemorySegment.ofAddress(counts);
      NativeCalls.check(
          error -> Svdit.svdit_memory_copy(backend.pointer(), to, staging, bytes, stream, error));
    } catch (RuntimeException | Error failure) {
      dropCounts();
      throw failure;
    }
    return counts;
  }

  /** Frees all of it; the stream's work is done. */
  void free() {
    if (counts != 0) {
      Memory.freeRaw(backend, counts);
    }
    if (workspace != 0) {
      Memory.freeRaw(backend, workspace);
    }
    counts = 0;
    workspace = 0;
    workspaceBytes = 0;
  }

  private void dropWorkspace() {
    if (workspace != 0) {
      finish.run();
      Memory.freeRaw(backend, workspace);
      workspace = 0;
      workspaceBytes = 0;
    }
  }

  private void dropCounts() {
    if (counts != 0) {
      long address = counts;
      counts = 0;
      finish.run();
      Memory.freeRaw(backend, address);
    }
  }
}
