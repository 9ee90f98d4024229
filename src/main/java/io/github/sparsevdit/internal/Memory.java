package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A range of bytes that native code computes on: host memory, which has a segment, or a device's,
 * which Java cannot reach. It is borrowed, when close() frees nothing, or allocated from a backend,
 * when close() gives it back.
 */
public final class Memory implements AutoCloseable, StreamUsed {
  /** device() of host memory. */
  public static final int HOST = -1;

  /** What a stream keeps it by (see StreamOwners); any stream may overwrite it. */
  volatile Object keptBy;

  private final MemorySegment segment;
  private final long address;
  private final long bytes;
  private final int device;
  private final Owned owned; // null where a segment of the caller's is borrowed
  private final Object owner;
  private final StreamUses uses = new StreamUses();

  private Memory(
      MemorySegment segment, long address, long bytes, int device, Owned owned, Object owner) {
    this.segment = segment;
    this.address = address;
    this.bytes = bytes;
    this.device = device;
    this.owned = owned;
    this.owner = owner;
  }

  /** Host memory that someone else owns. */
  public static Memory of(MemorySegment segment) {
    return new Memory(segment, segment.address(), segment.byteSize(), HOST, null, null);
  }

  /**
   * Memory of a CUDA device that another library owns: owner is kept reachable as long as this is,
   * and as long as a stream's work uses it.
   */
  public static Memory wrap(long address, long bytes, int device, Object owner) {
    Owned owned = new Owned(null, MemorySegment.ofAddress(address), 0);
    return new Memory(owned.held(0), address, bytes, device, owned, owner);
  }

  /**
   * Memory of this process (device HOST) or of a CUDA device that another library gave away:
   * giveBack is run once, when it is closed and no call, stream or exported view uses it any more.
   */
  public static Memory imported(
      long address, long bytes, int device, Runnable giveBack, String what) {
    Owned owned = new Owned(null, MemorySegment.ofAddress(address), 0);
    owned.giveBack = giveBack;
    Memory memory =
        new Memory(owned.held(device == HOST ? bytes : 0), address, bytes, device, owned, null);
    owned.leak = Leaks.track(memory, what);
    return memory;
  }

  /**
   * bytes of memory where backend computes, aligned to 256 bytes, not cleared; what describes it in
   * reports.
   */
  public static Memory allocate(BackendHandle backend, long bytes, String what) {
    return allocate(backend, Svdit.SVDIT_MEMORY_DEVICE(), bytes, what);
  }

  /** The same in host memory that the backend's device copies from and to at full speed. */
  public static Memory allocatePinned(BackendHandle backend, long bytes, String what) {
    return allocate(backend, Svdit.SVDIT_MEMORY_HOST(), bytes, what);
  }

  private static Memory allocate(BackendHandle backend, int kind, long bytes, String what) {
    backend.keep();
    Deferred.drain();
    try {
      Owned owned = new Owned(backend, allocateRaw(backend, kind, Math.max(bytes, 1)), kind);
      boolean host = backend.hostMemory() || kind == Svdit.SVDIT_MEMORY_HOST();
      Memory memory =
          new Memory(
              owned.held(host ? bytes : 0),
              owned.raw.address(),
              bytes,
              host ? HOST : backend.device(),
              owned,
              null);
      owned.leak = Leaks.track(memory, what);
      return memory;
    } catch (RuntimeException | Error failure) {
      backend.release();
      throw failure;
    }
  }

  /** Device memory without a keeper of the backend; its address. */
  static long allocateRaw(BackendHandle backend, long bytes) {
    return allocateRaw(backend, Svdit.SVDIT_MEMORY_DEVICE(), bytes).address();
  }

  /** Frees what allocateRaw gave; no work uses it any more. */
  static void freeRaw(BackendHandle backend, long address) {
    MemorySegment raw = MemorySegment.ofAddress(address);
    NativeCalls.checkQuietly(error -> free(backend, Svdit.SVDIT_MEMORY_DEVICE(), raw, error));
  }

  private static MemorySegment allocateRaw(BackendHandle backend, int kind, long bytes) {
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment out = scratch.allocate(ValueLayout.ADDRESS);
      NativeCalls.check(
          error -> Svdit.svdit_memory_allocate(backend.pointer(), kind, bytes, out, error));
      return out.get(ValueLayout.ADDRESS, 0);
    }
  }

  private static int free(BackendHandle backend, int kind, MemorySegment raw, MemorySegment error) {
    return Svdit.svdit_memory_free(backend.pointer(), kind, raw, error);
  }

  /**
   * The whole range of host memory; of a device's, a segment of no bytes. Passing it to a native
   * call keeps it open meanwhile.
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

  /** Whether a device copies from and to this host memory without the host's help. */
  public boolean pinned() {
    return device == HOST
        && owned != null
        && owned.kind == Svdit.SVDIT_MEMORY_HOST()
        && !owned.backend.hostMemory();
  }

  /**
   * Keeps what was allocated from being freed until release(), also after close();
   * IllegalStateException after close() has begun. Memory that a caller owns stays the caller's to
   * keep open.
   */
  public void retain() {
    if (owned == null) {
      if (!alive()) {
        throw new IllegalStateException(this + " is closed");
      }
    } else if (!owned.retain()) {
      throw new IllegalStateException(this + " is closed");
    }
  }

  /** Gives back one retain(). */
  public void release() {
    if (owned != null) {
      owned.release();
    }
  }

  /** Waits for the work of streams that use it. */
  public void awaitWork() {
    uses.await();
  }

  /** What keeps memory of another library open; null where nothing need be kept. */
  Object owner() {
    return owner;
  }

  /** Whether it may still be used; a call that begins after close() has begun finds it false. */
  @Override
  public boolean alive() {
    return owned == null ? segment.scope().isAlive() : owned.arena.open();
  }

  @Override
  public StreamUses uses() {
    return uses;
  }

  /**
   * Frees what was allocated, once no call and no stream's work uses it any more. May be called
   * twice.
   */
  @Override
  public void close() {
    if (owned != null) {
      owned.close(uses);
    }
  }

  @Override
  public String toString() {
    return bytes + " bytes of " + (device == HOST ? "host memory" : "CUDA device " + device);
  }

  /** What an allocation takes to give back; of borrowed memory, what it takes to refuse its use. */
  private static final class Owned {
    final BackendHandle backend; // null where borrowed
    final MemorySegment raw;
    final int kind;
    final SharedArena arena = new SharedArena();
    final AtomicInteger users = new AtomicInteger(1); // who has it open, and exported views
    Runnable giveBack; // null where nothing is given back to another library
    Leaks.Handle leak = Leaks.untracked();

    Owned(BackendHandle backend, MemorySegment raw, int kind) {
      this.backend = backend;
      this.raw = raw;
      this.kind = kind;
    }

    MemorySegment held(long bytes) {
      return raw.reinterpret(bytes, arena.arena(), null);
    }

    boolean retain() {
      int now = users.get();
      while (now > 0 && arena.open()) {
        if (users.compareAndSet(now, now + 1)) {
          return true;
        }
        now = users.get();
      }
      return false;
    }

    void release() {
      if (users.decrementAndGet() == 0) {
        free();
      }
    }

    void close(StreamUses uses) {
      if (backend == null) { // what is freed next is in its owner's hands, so it cannot be later
        uses.requireAwaitable();
      }
      if (!arena.beginClose()) {
        return;
      }
      leak.closed();
      arena.finishClose();
      if (backend != null) {
        uses.awaitThen(this::release);
        return;
      }
      try {
        uses.await();
      } finally {
        release();
      }
    }

    private void free() {
      if (giveBack != null) {
        giveBack.run();
      }
      if (backend == null) {
        return;
      }
      try {
        NativeCalls.check(error -> Memory.free(backend, kind, raw, error));
      } finally {
        backend.release();
      }
    }
  }
}
