package io.github.sparsevdit;

import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.SvditHeader;
import io.github.sparsevdit.bindings.svdit_backend_info;
import io.github.sparsevdit.cuda.CudaEvent;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.CallCounts;
import io.github.sparsevdit.internal.NativeLibrary;
import io.github.sparsevdit.internal.PlanCache;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * Where attention is computed: the CPU, or a CUDA device. It owns threads or a device context.
 *
 * <p>Works from any thread. {@code close()} refuses new plans and tensors. Threads and context are
 * freed when the last plan and tensor made from it is closed.
 */
public final class Backend implements AutoCloseable {
  static {
    Access.ofBackends(backend -> ((Backend) backend).handle);
  }

  /** The kinds of backend, in the order of the C ABI's SVDIT_BACKEND_*. */
  public enum Kind {
    CPU,
    CUDA
  }

  private final BackendHandle handle;
  private final String choice; // why best() took this one; empty where the caller chose

  private Backend(BackendHandle handle, String choice) {
    this.handle = handle;
    this.choice = choice;
  }

  /** CUDA device 0 if it is present and built in, else the CPU; describe() says why. */
  public static Backend best() {
    try {
      probe(Kind.CUDA, 0);
    } catch (BackendUnavailableException reason) {
      return new Backend(
          open(Kind.CPU, 0, CpuOptions.DEFAULT), "; CUDA not used: " + reason.getMessage());
    }
    return new Backend(open(Kind.CUDA, 0, CpuOptions.DEFAULT), "; the first choice");
  }

  /** The CPU with the processor's best instructions and all threads this process may use. */
  public static Backend cpu() {
    return cpu(CpuOptions.DEFAULT);
  }

  /** The CPU; BackendUnavailableException where the processor lacks the tier. */
  public static Backend cpu(CpuOptions options) {
    return new Backend(open(Kind.CPU, 0, options), "");
  }

  /**
   * A CUDA device; BackendUnavailableException with the reason where there is none. Never falls
   * back.
   */
  public static Backend cuda(int device) {
    return new Backend(open(Kind.CUDA, device, CpuOptions.DEFAULT), "");
  }

  /**
   * What opening a backend would give, without opening it; BackendUnavailableException with the
   * reason where it cannot.
   */
  public static BackendInfo probe(Kind kind, int device) {
    return probe(kind, device, CpuOptions.DEFAULT);
  }

  /** The same for the CPU with options. */
  public static BackendInfo probe(CpuOptions options) {
    return probe(Kind.CPU, 0, options);
  }

  /**
   * The native library in use, loading it if need be; BackendUnavailableException with the places
   * tried if it cannot.
   */
  public static LibraryInfo library() {
    NativeLibrary library = NativeLibrary.load();
    return new LibraryInfo(
        library.path(),
        library.origin(),
        library.build(),
        Svdit.SVDIT_ABI_VERSION(),
        SvditHeader.SHA256,
        library.tried());
  }

  public Kind kind() {
    return Kind.values()[handle.kind()];
  }

  /** One line: what it is, and why it was chosen. */
  public String describe() {
    BackendInfo info = info();
    String what =
        info.kind() == Kind.CPU
            ? "CPU: "
                + info.name()
                + ", "
                + info.tier().name().toLowerCase(Locale.ROOT)
                + ", "
                + info.threads()
                + " threads"
            : "CUDA device "
                + info.device()
                + ": "
                + info.name()
                + ", compute capability "
                + info.computeCapability() / 10
                + "."
                + info.computeCapability() % 10;
    return what + choice;
  }

  /**
   * The arithmetic it computes with: on the CPU the tier ({@code "CPU avx2"}), on CUDA the device's
   * name and compute capability. Two backends with different arithmetic may give results that
   * differ in their last bits. The number of threads does not matter.
   */
  public String arithmetic() {
    BackendInfo info = info();
    return info.kind() == Kind.CPU
        ? "CPU " + info.tier().name().toLowerCase(Locale.ROOT)
        : "CUDA " + info.name() + " " + info.computeCapability();
  }

  /** What it runs on, as of now. */
  public BackendInfo info() {
    try (Arena arena = Arena.ofConfined()) {
      return info(handle.describe(arena));
    }
  }

  /**
   * A contiguous tensor where this backend computes, its elements not cleared. The caller closes
   * it.
   *
   * @param shape elements along each dimension
   */
  public Tensor allocate(ElementType type, long... shape) {
    return Access.<Tensor, ElementType>tensors().allocate(handle, type, shape);
  }

  /**
   * A contiguous tensor in host memory that a CUDA device copies from and to by itself, at full
   * speed: for {@link CudaStream#copy}. Java reads and writes it as any host tensor. On the CPU it
   * is plain memory. The caller closes it.
   */
  public Tensor allocatePinned(ElementType type, long... shape) {
    return Access.<Tensor, ElementType>tensors().allocatePinned(handle, type, shape);
  }

  /** Bytes where this backend computes, not cleared, aligned to 256. The caller closes them. */
  public DeviceBuffer buffer(long bytes) {
    return Access.newBuffer(handle, bytes);
  }

  /**
   * A new CUDA stream, which the caller closes; UnsupportedException on the CPU, where every call
   * blocks until it is done.
   */
  public CudaStream stream() {
    requireStreams("streams");
    return Access.newStream(handle);
  }

  /** A new CUDA event, which the caller closes; UnsupportedException on the CPU. */
  public CudaEvent event() {
    requireStreams("events");
    return Access.newEvent(handle);
  }

  /**
   * Waits until the work of calls without a stream is done, and throws its errors. On the CPU it
   * returns at once.
   */
  public void synchronize() {
    handle.keepAlive();
    try {
      if (handle.defaultStream() != null) {
        handle.defaultStream().synchronize();
      }
    } finally {
      handle.release();
    }
  }

  private void requireStreams(String what) {
    if (handle.defaultStream() == null) {
      throw new UnsupportedException(
          "the CPU backend has no " + what + ": every call blocks until it is done");
    }
  }

  /**
   * Compiles one layer's patterns. The caller closes the plan.
   *
   * @param type that is computed in; q, k, v and out are of its {@code tensorType()}: BF16 for
   *     {@link ElementType#E4M3}, which on CUDA takes compute capability 9.0 (else
   *     UnsupportedException)
   * @param headDim a multiple of 8 up to 256 on the CPU; 64 or 128 on CUDA
   * @param block tokens per block: 128, 64, and on the CPU 32 or 16
   * @param patterns one per head
   */
  public AttentionPlan plan(
      Sequence sequence, ElementType type, int headDim, int block, List<Pattern> patterns) {
    return AttentionPlan.create(
        handle, new AttentionPlan.Source(sequence, 0, type, headDim, block, patterns));
  }

  /**
   * Full attention of queries to other keys (cross-attention). Each call may mask the last keys:
   * textValid is the number of real keys of each batch row.
   */
  public AttentionPlan crossPlan(
      int queryTokens, int keyTokens, ElementType type, int headDim, int heads) {
    if (keyTokens < 1) {
      throw new IllegalArgumentException("keyTokens must be at least 1: " + keyTokens);
    }
    if (heads < 1) {
      throw new IllegalArgumentException("heads must be at least 1: " + heads);
    }
    return AttentionPlan.create(
        handle,
        new AttentionPlan.Source(
            Sequence.video(1, 1, queryTokens),
            keyTokens,
            type,
            headDim,
            128,
            Collections.nCopies(heads, Pattern.full())));
  }

  /**
   * Sets the size of the plan cache, in bytes: 256 MiB unless set, 0 for none. The cache has the
   * compiled plans that no {@link SparseAttention} uses any more, so that going back to an earlier
   * resolution compiles nothing. The plan released longest ago is evicted first. On CUDA most of a
   * plan is device memory.
   */
  public void planCacheBytes(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("the plan cache has at least 0 bytes: " + bytes);
    }
    handle.plans().limit(bytes);
  }

  /** Counts of what it did so far. Cheap enough for a call every second. */
  public BackendMetrics metrics() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = handle.describe(arena);
      CallCounts calls = handle.calls();
      PlanCache plans = handle.plans();
      return new BackendMetrics(
          calls.calls(),
          calls.nanos(),
          calls.visiblePairs(),
          calls.allPairs(),
          plans.compiled(),
          plans.reused(),
          plans.idle(),
          plans.idleBytes(),
          svdit_backend_info.memory_used_bytes(info),
          svdit_backend_info.memory_host_bytes(info),
          svdit_backend_info.queue_waits(info),
          svdit_backend_info.queue_wait_ns(info));
    }
  }

  /** Refuses new plans and tensors; may be called twice. */
  @Override
  public void close() {
    handle.close();
  }

  BackendHandle handle() {
    return handle;
  }

  @Override
  public String toString() {
    return kind().name() + (kind() == Kind.CUDA ? " " + handle.device() : "");
  }

  private static BackendHandle open(Kind kind, int device, CpuOptions options) {
    return BackendHandle.open(kind.ordinal(), device, options.threads(), options.tier().ordinal());
  }

  private static BackendInfo probe(Kind kind, int device, CpuOptions options) {
    try (Arena arena = Arena.ofConfined()) {
      return info(
          BackendHandle.probe(
              arena, kind.ordinal(), device, options.threads(), options.tier().ordinal()));
    }
  }

  private static BackendInfo info(MemorySegment info) {
    return new BackendInfo(
        Kind.values()[svdit_backend_info.kind(info)],
        svdit_backend_info.device(info),
        svdit_backend_info.threads(info),
        CpuOptions.Tier.values()[svdit_backend_info.cpu_tier(info)],
        svdit_backend_info.compute_capability(info),
        svdit_backend_info.multiprocessors(info),
        svdit_backend_info.driver_version(info),
        svdit_backend_info.runtime_version(info),
        svdit_backend_info.memory_bytes(info),
        svdit_backend_info.memory_free_bytes(info),
        svdit_backend_info.memory_used_bytes(info),
        svdit_backend_info.memory_host_bytes(info),
        svdit_backend_info.name(info).getString(0));
  }
}
