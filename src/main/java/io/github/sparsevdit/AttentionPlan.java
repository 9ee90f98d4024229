package io.github.sparsevdit;

import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_plan_info;
import io.github.sparsevdit.bindings.svdit_run;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.CallSlot;
import io.github.sparsevdit.internal.NativeCalls;
import io.github.sparsevdit.internal.PlanCache;
import io.github.sparsevdit.internal.PlanEvent;
import io.github.sparsevdit.internal.PlanHandle;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToIntFunction;

/**
 * One layer's patterns compiled for a sequence, element type and backend. Immutable, and usable
 * from many threads at once. {@code close()} may be called twice; it refuses new calls and waits
 * for the running ones, and for CUDA streams that still have work of this plan.
 */
public final class AttentionPlan implements AutoCloseable {
  private final PlanHandle handle;
  private final Sequence sequence;
  private final int keyTokens; // 0: self-attention
  private final ElementType type;
  private final int headDim;
  private final int block;
  private final List<Pattern> patterns;
  private final int groupCount;
  private final int videoQueryBlocks;
  private final int queryBlocks;
  private final AttentionRunner runner;
  private volatile long[] workspaceOfBatch = {
    -1, 0
  }; // the last batch size asked for, and the answer

  private AttentionPlan(PlanHandle handle, Source source) {
    this.handle = handle;
    this.sequence = source.sequence();
    this.keyTokens = source.keyTokens();
    this.type = source.type();
    this.headDim = source.headDim();
    this.block = source.block();
    this.patterns = source.patterns();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = svdit_plan_info.allocate(arena);
      svdit_plan_info.struct_bytes(info, (int) svdit_plan_info.sizeof());
      call(error -> Svdit.svdit_plan_describe(handle.pointer(), info, error));
      groupCount = svdit_plan_info.groups(info);
      videoQueryBlocks = svdit_plan_info.video_query_blocks(info);
      queryBlocks = svdit_plan_info.query_blocks(info);
    }
    runner = new AttentionRunner(this, handle);
  }

  /** What a plan is compiled from; keyTokens is 0 for self-attention. */
  record Source(
      Sequence sequence,
      int keyTokens,
      ElementType type,
      int headDim,
      int block,
      List<Pattern> patterns) {
    Source {
      patterns = List.copyOf(patterns);
      if (patterns.isEmpty()) {
        throw new IllegalArgumentException("a plan needs a pattern per head; none was given");
      }
      for (int head = 0; head < patterns.size(); head++) {
        try {
          patterns.get(head).requireFits(sequence, block);
        } catch (IllegalArgumentException e) {
          throw new IllegalArgumentException("head " + head + ": " + e.getMessage(), e);
        }
      }
    }
  }

  /** A plan of its own. */
  static AttentionPlan create(BackendHandle backend, Source source) {
    return create(backend, source, null);
  }

  /** The same over a native plan that equal ones share, and that stays in the backend's cache. */
  static AttentionPlan shared(BackendHandle backend, Source source) {
    return create(backend, source, source);
  }

  private static AttentionPlan create(BackendHandle backend, Source source, Source key) {
    PlanEvent event = new PlanEvent();
    event.begin();
    backend.keep();
    boolean[] compiled = {false};
    PlanHandle handle;
    try {
      PlanCache.Entry entry =
          backend
              .plans()
              .acquire(
                  key,
                  () -> {
                    compiled[0] = true;
                    return PlanCompiler.compile(backend, source);
                  },
                  AttentionPlan::bytes);
      handle = new PlanHandle(backend, entry, "an attention plan for " + source.sequence());
    } catch (RuntimeException | Error failure) {
      backend.release();
      throw failure;
    }
    try {
      AttentionPlan plan = new AttentionPlan(handle, source);
      event.end();
      if (compiled[0] && event.shouldCommit()) {
        event.sequence = source.sequence().toString();
        event.type = source.type().name();
        event.block = source.block();
        event.heads = source.patterns().size();
        event.groups = plan.groupCount;
        event.patterns = source.patterns().toString();
        event.density = plan.meanDensity();
        event.commit();
      }
      return plan;
    } catch (RuntimeException | Error failure) {
      handle.close();
      throw failure;
    }
  }

  /** Memory of a native plan. */
  private static long bytes(MemorySegment plan) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = svdit_plan_info.allocate(arena);
      svdit_plan_info.struct_bytes(info, (int) svdit_plan_info.sizeof());
      NativeCalls.check(error -> Svdit.svdit_plan_describe(plan, info, error));
      return svdit_plan_info.bytes(info);
    }
  }

  /**
   * softmax(q·kᵀ/√D)·v over the keys each head's pattern shows, all text valid; a row that sees no
   * key gives 0. Makes no garbage. On the CPU it blocks until done; on CUDA it returns when the
   * work is queued on the legacy default stream, and copies from the tensors wait for it.
   *
   * @param q [B, H, S, D], of the plan's tensorType(), any strides but D contiguous
   * @param k [B, H, keys, D]
   * @param v [B, H, keys, D]
   * @param out [B, H, S, D]; it overlaps none of the others
   */
  public void run(Tensor q, Tensor k, Tensor v, Tensor out) {
    runner.run(q, k, v, out, null, null, null, null);
  }

  /** The same, queued on a stream of the plan's device. */
  public void run(Tensor q, Tensor k, Tensor v, Tensor out, CudaStream stream) {
    runner.run(q, k, v, out, null, null, null, runner.queue(stream));
  }

  /**
   * The same with padded text, from any number of threads and without garbage.
   *
   * @param textValid how many text keys (keys of a cross plan) are real, one count per batch row,
   *     read before this returns; null for all. Later ones are never read as keys
   */
  public void run(Tensor q, Tensor k, Tensor v, Tensor out, int[] textValid) {
    runner.run(q, k, v, out, textValid, null, null, null);
  }

  /** The same, which another thread may cancel, on the CPU; null for no cancellation. */
  public void run(
      Tensor q, Tensor k, Tensor v, Tensor out, int[] textValid, Cancellation cancellation) {
    runner.run(q, k, v, out, textValid, cancellation, null, null);
  }

  /** The same, queued on a stream of the plan's device. */
  public void run(Tensor q, Tensor k, Tensor v, Tensor out, int[] textValid, CudaStream stream) {
    runner.run(q, k, v, out, textValid, null, null, runner.queue(stream));
  }

  /**
   * Milliseconds that a call took on the device: as one launch over all heads, and as a launch for
   * each group; both 0 where there was nothing to choose.
   */
  public record LaunchTimes(float together, float apart) {}

  /**
   * Measures a call as one launch and as a launch for each group. This plan uses the faster one
   * from now on. Other plans of the same kernel and device that were not measured use what a fit
   * predicts. Without any measurement a call is one launch. Blocks for some fifteen calls. On the
   * CPU, and for one group, it does nothing.
   *
   * @param out is written, as by {@link #run}
   */
  public LaunchTimes tune(Tensor q, Tensor k, Tensor v, Tensor out) {
    return runner.tune(q, k, v, out);
  }

  /**
   * A call with options: text padding, LSE, scale, ranges. It may be reused, by one thread at a
   * time.
   */
  public AttentionCall call() {
    return new AttentionCall(this);
  }

  void run(Tensor q, Tensor k, Tensor v, Tensor out, AttentionCall call, CudaStream stream) {
    runner.run(
        q,
        k,
        v,
        out,
        call.textValid,
        call.cancellation,
        call,
        stream == null ? null : runner.queue(stream));
  }

  /**
   * One pass over all keys for sampled query blocks that scores every window (or number of stripes)
   * of a mode. The plan's patterns are ignored. Blocks until done.
   *
   * @param q [B, H, S, D], as k and v
   */
  public SweepResult sweep(SweepRequest request, Tensor q, Tensor k, Tensor v) {
    return Sweep.run(this, handle, request, q, k, v);
  }

  /** Per head: visible (query, key) pairs / (queries × keys), all text valid. */
  public double[] density() {
    return density(-1);
  }

  /** Per head: visible pairs / (queries × valid keys), with textValid valid text keys (-1: all). */
  public double[] density(int textValid) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.JAVA_DOUBLE, patterns.size());
      call(error -> Svdit.svdit_plan_density(handle.pointer(), textValid, out, error));
      return out.toArray(ValueLayout.JAVA_DOUBLE);
    }
  }

  double meanDensity() {
    return Arrays.stream(density()).average().orElseThrow();
  }

  /** Per head: the group it belongs to; heads of a group share a launch. */
  public int[] groups() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.JAVA_INT, patterns.size());
      call(error -> Svdit.svdit_plan_groups(handle.pointer(), out, error));
      return out.toArray(ValueLayout.JAVA_INT);
    }
  }

  /** How many groups there are. */
  public int groupCount() {
    return groupCount;
  }

  /**
   * A range of consecutive visible keys, as positions: text stays in its place, video is lined up
   * in the pattern's order.
   */
  public record Run(long begin, long end) {}

  /** The runs a query block of a head sees, ascending, with textValid valid text keys (-1: all). */
  public List<Run> runs(int head, int queryBlock, int textValid) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(ValueLayout.JAVA_LONG);
      call(
          error ->
              Svdit.svdit_plan_runs(
                  handle.pointer(),
                  head,
                  queryBlock,
                  textValid,
                  MemorySegment.NULL,
                  0,
                  count,
                  error));
      long capacity = count.get(ValueLayout.JAVA_LONG, 0);
      MemorySegment array = svdit_run.allocateArray(Math.max(capacity, 1), arena);
      call(
          error ->
              Svdit.svdit_plan_runs(
                  handle.pointer(), head, queryBlock, textValid, array, capacity, count, error));
      List<Run> runs = new ArrayList<>();
      for (long i = 0; i < capacity; i++) {
        MemorySegment run = svdit_run.asSlice(array, i);
        runs.add(new Run(svdit_run.begin(run), svdit_run.end(run)));
      }
      return runs;
    }
  }

  /**
   * Bytes of workspace that a call with that batch size needs. 0 if none is needed, as on the CPU
   * for all types but E4M3. Workspaces are pooled per backend (per stream on CUDA) and freed with
   * the last plan that needs one.
   */
  public long workspaceBytes(int batch) {
    long[] last = workspaceOfBatch;
    if (batch > 0 && last[0] == batch) {
      return last[1];
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
      call(error -> Svdit.svdit_plan_workspace(handle.pointer(), batch, out, error));
      long bytes = out.get(ValueLayout.JAVA_LONG, 0);
      workspaceOfBatch = new long[] {batch, bytes};
      return bytes;
    }
  }

  /**
   * Query blocks in all: video blocks in each pattern's order, then text blocks, wherever the text
   * is.
   */
  public int queryBlocks() {
    return queryBlocks;
  }

  /** How many query blocks are video. */
  public int videoQueryBlocks() {
    return videoQueryBlocks;
  }

  /** Of the queries, and, but in a cross plan, of the keys. */
  public Sequence sequence() {
    return sequence;
  }

  /** One per head. */
  public List<Pattern> patterns() {
    return patterns;
  }

  /** What it computes in. */
  public ElementType type() {
    return type;
  }

  /** The element type of q, k, v and out: type(), but BF16 where that is E4M3. */
  public ElementType tensorType() {
    return type.tensorType();
  }

  public int headDim() {
    return headDim;
  }

  /** Tokens per block. */
  public int block() {
    return block;
  }

  public int queryTokens() {
    return sequence.tokens();
  }

  public int keyTokens() {
    return keyTokens == 0 ? sequence.tokens() : keyTokens;
  }

  /**
   * How many text keys a call may declare valid: the sequence's text, or all keys of a cross plan.
   */
  int maskableKeys() {
    return keyTokens == 0 ? sequence.text() : keyTokens;
  }

  @Override
  public void close() {
    handle.close();
  }

  /** Calls native code that reads the plan, which stays open meanwhile. */
  private void call(ToIntFunction<MemorySegment> call) {
    CallSlot slot = handle.hold();
    try {
      int status = call.applyAsInt(slot.error());
      if (status != Svdit.SVDIT_OK()) {
        throw NativeCalls.failure(status, slot.error());
      }
    } finally {
      slot.release();
    }
  }
}
