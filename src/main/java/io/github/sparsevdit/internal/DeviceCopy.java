package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Copies between host segments and a device's memory, done when they return. */
public final class DeviceCopy {
  private DeviceCopy() {}

  /** Copies all of host to the device, offset bytes into memory. */
  public static void toDevice(Memory memory, long offset, MemorySegment host) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment from = host.isNative() ? host : arena.allocate(host.byteSize()).copyFrom(host);
      copy(memory, place(memory, offset), from, host.byteSize());
    }
  }

  /** Fills host with the device's bytes, offset bytes into memory. */
  public static void toHost(Memory memory, long offset, MemorySegment host) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment to = host.isNative() ? host : arena.allocate(host.byteSize());
      copy(memory, to, place(memory, offset), host.byteSize());
      if (to != host) {
        host.copyFrom(to);
      }
    }
  }

  private static MemorySegment place(Memory memory, long offset) {
    return MemorySegment.ofAddress(memory.address() + offset);
  }

  private static void copy(Memory memory, MemorySegment to, MemorySegment from, long bytes) {
    if (!memory.alive()) {
      throw new IllegalStateException("the memory is closed");
    }
    BackendHandle backend = memory.backend();
    backend.keep();
    try {
      MemorySegment stream = MemorySegment.NULL;
      NativeCalls.check(
          error -> Svdit.svdit_memory_copy(backend.pointer(), to, from, bytes, stream, error));
      NativeCalls.check(error -> Svdit.svdit_stream_synchronize(backend.pointer(), stream, error));
    } finally {
      backend.release();
    }
  }
}
