package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_backend_info;
import io.github.sparsevdit.bindings.svdit_backend_options;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A native backend, kept by whoever opened it and by each plan, tensor and running call made from
 * it: the native side is closed when the last of them is gone, so none of them can outlive it.
 */
public final class BackendHandle {
  private final MemorySegment pointer;
  private final int kind;
  private final int device;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final AtomicLong keepers = new AtomicLong(1);
  private final Leaks.Handle leak;
  private final StreamHandle defaultStream; // null where there are no streams
  private final Workspaces workspaces; // null where streams have their own
  private final PlanCache plans = new PlanCache();
  private final CallCounts calls = new CallCounts();

  private BackendHandle(MemorySegment pointer, int kind, int device, boolean tracked) {
    this.pointer = pointer;
    this.kind = kind;
    this.device = device;
    this.leak = tracked ? Leaks.track(this, "a backend") : Leaks.untracked();
    this.defaultStream = hostMemory() ? null : StreamHandle.ofDefault(this);
    this.workspaces = hostMemory() ? new Workspaces(this) : null;
  }

  /** Opened when first asked for, never closed: one per CUDA device. */
  private static final ConcurrentHashMap<Integer, BackendHandle> SHARED = new ConcurrentHashMap<>();

  /** The backend that memory and streams of other libraries on a CUDA device are used through. */
  public static BackendHandle shared(int device) {
    return SHARED.computeIfAbsent(
        device, ordinal -> open(Svdit.SVDIT_BACKEND_CUDA(), ordinal, 0, 0, false));
  }

  /** Opens a backend as svdit_backend_options says. */
  public static BackendHandle open(int kind, int device, int threads, int tier) {
    return open(kind, device, threads, tier, true);
  }

  private static BackendHandle open(int kind, int device, int threads, int tier, boolean tracked) {
    NativeLibrary.load();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment options = options(arena, kind, device, threads, tier);
      MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
      NativeCalls.check(error -> Svdit.svdit_backend_open(options, out, error));
      return new BackendHandle(out.get(ValueLayout.ADDRESS, 0), kind, device, tracked);
    }
  }

  /**
   * What open would give; throws the reason where it would fail. The result is a
   * svdit_backend_info.
   */
  public static MemorySegment probe(
      SegmentAllocator allocator, int kind, int device, int threads, int tier) {
    NativeLibrary.load();
    MemorySegment info = newInfo(allocator);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment options = options(arena, kind, device, threads, tier);
      NativeCalls.check(error -> Svdit.svdit_backend_probe(options, info, error));
    }
    return info;
  }

  /** A svdit_backend_info of this backend as it is now. */
  public MemorySegment describe(SegmentAllocator allocator) {
    MemorySegment info = newInfo(allocator);
    keep();
    try {
      NativeCalls.check(error -> Svdit.svdit_backend_describe(pointer, info, error));
    } finally {
      release();
    }
    return info;
  }

  /** SVDIT_BACKEND_CPU or SVDIT_BACKEND_CUDA. */
  public int kind() {
    return kind;
  }

  /** Whether its memory is this process's own, as on the CPU. */
  public boolean hostMemory() {
    return kind == Svdit.SVDIT_BACKEND_CPU();
  }

  /** The CUDA device; 0 on the CPU. */
  public int device() {
    return device;
  }

  /** CUDA's legacy default stream; null on the CPU, where calls block. */
  public StreamHandle defaultStream() {
    return defaultStream;
  }

  /** Where calls that block take a workspace from; null on CUDA, where streams have one each. */
  public Workspaces workspaces() {
    return workspaces;
  }

  /** The native plans made for it. */
  public PlanCache plans() {
    return plans;
  }

  /** What its attention calls came to. */
  public CallCounts calls() {
    return calls;
  }

  /** The svdit_backend pointer; the caller keeps this handle while it is used. */
  public MemorySegment pointer() {
    return pointer;
  }

  /** Keeps the native side open until release(); IllegalStateException if close() came first. */
  public void keep() {
    if (closed.get()) {
      throw closedAlready();
    }
    keepAlive();
  }

  /**
   * As keep(), but after close() too as long as something else made from it keeps the native side
   * open: for calls that make nothing new.
   */
  public void keepAlive() {
    long now = keepers.get();
    while (now > 0) {
      if (keepers.compareAndSet(now, now + 1)) {
        return;
      }
      now = keepers.get();
    }
    throw closedAlready();
  }

  private static IllegalStateException closedAlready() {
    return new IllegalStateException("the backend is closed");
  }

  /** Gives back one keep(). */
  public void release() {
    if (keepers.decrementAndGet() == 0) {
      Runnable close = () -> Svdit.svdit_backend_close(pointer);
      if (defaultStream == null) {
        close.run();
      } else {
        defaultStream.end(close);
      }
    }
  }

  /**
   * Refuses new users; the native side is closed once the present ones are gone. May be called
   * twice.
   */
  public void close() {
    if (closed.compareAndSet(false, true)) {
      leak.closed();
      plans.close();
      release();
    }
  }

  private static MemorySegment options(
      SegmentAllocator allocator, int kind, int device, int threads, int tier) {
    MemorySegment options = svdit_backend_options.allocate(allocator);
    svdit_backend_options.struct_bytes(options, (int) svdit_backend_options.sizeof());
    svdit_backend_options.kind(options, kind);
    svdit_backend_options.device(options, device);
    svdit_backend_options.threads(options, threads);
    svdit_backend_options.cpu_tier(options, tier);
    return options;
  }

  private static MemorySegment newInfo(SegmentAllocator allocator) {
    MemorySegment info = svdit_backend_info.allocate(allocator);
    svdit_backend_info.struct_bytes(info, (int) svdit_backend_info.sizeof());
    return info;
  }
}
