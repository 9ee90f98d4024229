package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Copies between host segments and devices' memory. */
public final class DeviceCopy {
  private DeviceCopy() {}

  /** Copies all of host to the device, offset bytes into memory; done when it returns. */
  public static void toDevice(Memory memory, long offset, MemorySegment host) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment from = host.isNative() ? host : arena.allocate(host.byteSize()).copyFrom(host);
      copyAndWait(memory, place(memory, offset), from, host.byteSize());
    }
  }

  /** Fills host with the device's bytes, offset bytes into memory; done when it returns. */
  public static void toHost(Memory memory, long offset, MemorySegment host) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment to = host.isNative() ? host : arena.allocate(host.byteSize());
      copyAndWait(memory, to, place(memory, offset), host.byteSize());
      if (to != host) {
        host.copyFrom(to);
      }
    }
  }

  /** Queues a copy on stream. Neither memory is freed before it is done. */
  public static void queue(
      StreamHandle stream, Memory to, long toOffset, Memory from, long fromOffset, long bytes) {
    stream.enter();
    try {
      stream.uses(to);
      stream.uses(from);
      queue(stream, place(to, toOffset), place(from, fromOffset), bytes);
    } finally {
      stream.exit();
    }
  }

  private static MemorySegment place(Memory memory, long offset) {
    return MemorySegment.ofAddress(memory.address() + offset);
  }

  /** After the work of all streams that use memory, on the default stream. */
  private static void copyAndWait(Memory memory, MemorySegment to, MemorySegment from, long bytes) {
    BackendHandle backend =
        memory.backend() == null ? BackendHandle.shared(memory.device()) : memory.backend();
    backend.keepAlive();
    try {
      StreamHandle stream = backend.defaultStream();
      memory.uses().await();
      stream.enter();
      try {
        stream.uses(memory);
        queue(stream, to, from, bytes);
        stream.synchronize();
      } finally {
        stream.exit();
      }
    } finally {
      backend.release();
    }
  }

  private static void queue(StreamHandle stream, MemorySegment to, MemorySegment from, long bytes) {
    MemorySegment backend = stream.backend().pointer();
    NativeCalls.check(
        error -> Svdit.svdit_memory_copy(backend, to, from, bytes, stream.pointer(), error));
  }
}
