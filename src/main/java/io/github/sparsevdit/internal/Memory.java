package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A range of bytes that native code computes on: host memory, which has a segment, or a device's,
 * which has none. It is either borrowed, when close() does nothing, or allocated from a backend,
 * when close() gives it back.
 */
public final class Memory implements AutoCloseable {
  /** device() of host memory. */
  public static final int HOST = -1;

  private final MemorySegment segment; // NULL on a device
  private final long address;
  private final long bytes;
  private final int device;
  private final Owned owned; // null where borrowed

  private Memory(MemorySegment segment, long address, long bytes, int device, Owned owned) {
    this.segment = segment;
    this.address = address;
    this.bytes = bytes;
    this.device = device;
    this.owned = owned;
  }

  /** Host memory that someone else owns. */
  public static Memory of(MemorySegment segment) {
    return new Memory(segment, segment.address(), segment.byteSize(), HOST, null);
  }

  /**
   * bytes of memory where backend computes, aligned to 256 bytes, not cleared; what describes it in
   * reports.
   */
  public static Memory allocate(BackendHandle backend, long bytes, String what) {
    backend.keep();
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment out = scratch.allocate(ValueLayout.ADDRESS);
      int kind = Svdit.SVDIT_MEMORY_DEVICE();
      NativeCalls.check(
          error ->
              Svdit.svdit_memory_allocate(backend.pointer(), kind, Math.max(bytes, 1), out, error));
      MemorySegment raw = out.get(ValueLayout.ADDRESS, 0);
      Owned owned = new Owned(backend, raw);
      Memory memory =
          backend.hostMemory()
              ? new Memory(
                  raw.reinterpret(bytes, owned.arena.arena(), null),
                  raw.address(),
                  bytes,
                  HOST,
                  owned)
              : new Memory(MemorySegment.NULL, raw.address(), bytes, backend.device(), owned);
      owned.leak = Leaks.track(memory, what);
      return memory;
    } catch (RuntimeException | Error failure) {
      backend.release();
      throw failure;
    }
  }

  /**
   * The whole range of host memory; NULL on a device. Passing it to a native call keeps it open
   * meanwhile.
   */
  public MemorySegment segment() {
    return segment;
  }

  public long address() {
    return address;
  }

  public long bytes() {
    return bytes;
  }

  /** The CUDA device it lies on, or {@link #HOST}. */
  public int device() {
    return device;
  }

  /** The backend it was allocated from; null where borrowed. */
  public BackendHandle backend() {
    return owned == null ? null : owned.backend;
  }

  /** Whether it may still be used; a call that begins after close() has begun finds it false. */
  public boolean alive() {
    return owned == null ? segment.scope().isAlive() : owned.arena.open();
  }

  /** Frees what was allocated, once no call uses it any more. May be called twice. */
  @Override
  public void close() {
    if (owned != null) {
      owned.close();
    }
  }

  /** What an allocation takes to give back. */
  private static final class Owned {
    final BackendHandle backend;
    final MemorySegment raw;
    final SharedArena arena = new SharedArena();
    Leaks.Handle leak;

    Owned(BackendHandle backend, MemorySegment raw) {
      this.backend = backend;
      this.raw = raw;
    }

    void close() {
      if (!arena.closeOnce()) {
        return;
      }
      leak.closed();
      try {
        int kind = Svdit.SVDIT_MEMORY_DEVICE();
        NativeCalls.check(error -> Svdit.svdit_memory_free(backend.pointer(), kind, raw, error));
      } finally {
        backend.release();
      }
    }
  }
}
