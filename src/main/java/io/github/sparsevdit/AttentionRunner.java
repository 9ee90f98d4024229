package io.github.sparsevdit;

import static io.github.sparsevdit.internal.Access.buffer;
import static io.github.sparsevdit.internal.Access.memory;

import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_attention_args;
import io.github.sparsevdit.bindings.svdit_tensor;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.internal.AttentionEvent;
import io.github.sparsevdit.internal.CallSlot;
import io.github.sparsevdit.internal.HeldCall;
import io.github.sparsevdit.internal.NativeCalls;
import io.github.sparsevdit.internal.PlanHandle;
import io.github.sparsevdit.internal.StreamHandle;
import io.github.sparsevdit.internal.Workspaces.Workspace;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;

/** The way of one attention call: checks, one downcall, no garbage. */
final class AttentionRunner {
  private static final ValueLayout.OfLong ADDRESS =
      ValueLayout.JAVA_LONG; // a pointer field, without an object for it

  private static final long TEXT_VALID = svdit_attention_args.text_valid$offset();

  private final AttentionPlan plan;
  private final PlanHandle handle;
  private final TensorCheck check;
  private final boolean needsWorkspace;
  private double density =
      Double.NaN; // computed when first asked for; racing threads compute the same

  AttentionRunner(AttentionPlan plan, PlanHandle handle) {
    this.plan = plan;
    this.handle = handle;
    this.check = new TensorCheck(plan, handle.backend());
    this.needsWorkspace = plan.workspaceBytes(1) > 0;
    if (needsWorkspace) {
      handle.needsWorkspace();
    }
  }

  /** The queue of a stream that this plan can compute on. */
  StreamHandle queue(CudaStream stream) {
    return check.queue(stream);
  }

  /**
   * textValid is null where all text is valid or a buffer of call's says it, cancellation where
   * nothing ends the call, call where it has nothing more to say, stream where the default stream
   * is meant or there is none.
   */
  void run(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      int[] textValid,
      Cancellation cancellation,
      AttentionCall call,
      StreamHandle stream) {
    long batch = check.attention(q, k, v, out);
    check.textValid(textValid, batch);
    check.cancellation(cancellation);
    if (call != null) {
      check.call(call, batch, q, k, v, out);
    }
    StreamHandle queue = stream == null ? handle.backend().defaultStream() : stream;
    double visible = density(); // first: afterwards the plan may be closed
    long begin = System.nanoTime();
    if (AttentionEvent.PROBE.isEnabled()) {
      runRecorded(q, k, v, out, textValid, cancellation, call, (int) batch, queue);
    } else {
      runChecked(q, k, v, out, textValid, cancellation, call, (int) batch, queue);
    }
    double pairs = batch * pairs(call);
    handle.backend().calls().add(System.nanoTime() - begin, (long) (pairs * visible), (long) pairs);
  }

  /** (query, key) pairs of a batch row's heads, of those that call computes. */
  private double pairs(AttentionCall call) {
    double heads = plan.patterns().size();
    double share = 1;
    if (call != null && call.headEnd > 0) {
      heads = call.headEnd - call.headBegin;
    }
    if (call != null && call.queryBlockEnd > 0) {
      share = (double) (call.queryBlockEnd - call.queryBlockBegin) / plan.queryBlocks();
    }
    return heads * plan.queryTokens() * plan.keyTokens() * share;
  }

  private double density() {
    if (Double.isNaN(density)) {
      density = plan.meanDensity();
    }
    return density;
  }

  /** Measures the ways to launch a call, on the default stream. */
  AttentionPlan.LaunchTimes tune(Tensor q, Tensor k, Tensor v, Tensor out) {
    int batch = (int) check.attention(q, k, v, out);
    StreamHandle queue = handle.backend().defaultStream();
    if (queue == null) {
      return new AttentionPlan.LaunchTimes(0, 0);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment times = arena.allocate(ValueLayout.JAVA_FLOAT, 2);
      queue.enter();
      try {
        CallSlot slot = handle.hold();
        try {
          uses(queue, q, k, v, out, null);
          write(slot, q, k, v, out, null, null, null, batch, queue, workspace(null, batch, queue));
          int status =
              Svdit.svdit_plan_tune(
                  handle.pointer(), slot.args(), queue.pointer(), times, slot.error());
          if (status != Svdit.SVDIT_OK()) {
            throw NativeCalls.failure(status, slot.error());
          }
        } finally {
          slot.release();
        }
      } finally {
        queue.exit();
      }
      return new AttentionPlan.LaunchTimes(
          times.getAtIndex(ValueLayout.JAVA_FLOAT, 0), times.getAtIndex(ValueLayout.JAVA_FLOAT, 1));
    }
  }

  /** queue is null on the CPU. */
  private void runChecked(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      int[] textValid,
      Cancellation cancellation,
      AttentionCall call,
      int batch,
      StreamHandle queue) {
    if (queue != null) {
      queue.enter(); // before a slot is held, which who closes the plan waits for
    }
    try {
      CallSlot slot = handle.hold();
      try {
        if (queue == null) {
          runHere(slot, q, k, v, out, textValid, cancellation, call, batch);
        } else {
          uses(queue, q, k, v, out, call);
          call(
              slot,
              q,
              k,
              v,
              out,
              textValid,
              cancellation,
              call,
              batch,
              queue,
              workspace(call, batch, queue));
        }
      } finally {
        slot.release();
      }
    } finally {
      if (queue != null) {
        queue.exit();
      }
    }
  }

  /** On the CPU, where the call blocks: a workspace is free again when it returns. */
  private void runHere(
      CallSlot slot,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      int[] textValid,
      Cancellation cancellation,
      AttentionCall call,
      int batch) {
    if (!takesWorkspace(call)) {
      call(slot, q, k, v, out, textValid, cancellation, call, batch, null, 0);
      return;
    }
    Workspace workspace = handle.backend().workspaces().take(plan.workspaceBytes(batch));
    try {
      call(slot, q, k, v, out, textValid, cancellation, call, batch, null, workspace.address());
    } finally {
      workspace.release();
    }
  }

  /** The address of the stream's workspace; 0 where none is needed or the caller gave one. */
  private long workspace(AttentionCall call, int batch, StreamHandle queue) {
    return takesWorkspace(call) ? queue.workspace(plan.workspaceBytes(batch)) : 0;
  }

  private boolean takesWorkspace(AttentionCall call) {
    return needsWorkspace && (call == null || call.workspace == null);
  }

  /** What stays as it is until the stream's work is done. */
  private void uses(
      StreamHandle queue, Tensor q, Tensor k, Tensor v, Tensor out, AttentionCall call) {
    queue.uses(handle);
    queue.uses(memory(q));
    queue.uses(memory(k));
    queue.uses(memory(v));
    queue.uses(memory(out));
    if (call == null) {
      return;
    }
    if (call.lse != null) {
      queue.uses(memory(call.lse));
    }
    if (call.workspace != null) {
      queue.uses(memory(call.workspace));
    }
    if (call.textValidBuffer != null) {
      queue.uses(buffer(call.textValidBuffer));
    }
  }

  private void call(
      CallSlot slot,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      int[] textValid,
      Cancellation cancellation,
      AttentionCall call,
      int batch,
      StreamHandle queue,
      long ownWorkspace) {
    write(slot, q, k, v, out, textValid, cancellation, call, batch, queue, ownWorkspace);
    MemorySegment lse = MemorySegment.NULL;
    MemorySegment workspace = MemorySegment.NULL;
    MemorySegment counts = MemorySegment.NULL;
    if (call != null) {
      lse = call.lse == null ? lse : memory(call.lse).segment();
      workspace = call.workspace == null ? workspace : memory(call.workspace).segment();
      if (call.textValidBuffer != null) {
        counts = buffer(call.textValidBuffer).segment();
      }
    }
    int status;
    try {
      status =
          HeldCall.ATTENTION.call(
              handle.pointer(),
              slot.args(),
              queue == null ? MemorySegment.NULL : queue.pointer(),
              slot.error(),
              memory(q).segment(),
              memory(k).segment(),
              memory(v).segment(),
              memory(out).segment(),
              lse,
              workspace,
              counts);
    } finally {
      Reference.reachabilityFence(cancellation);
    }
    if (status != Svdit.SVDIT_OK()) {
      throw NativeCalls.failure(status, slot.error());
    }
  }

  /** Fills the slot's arguments; ownWorkspace is 0 where there is none but the caller's. */
  private void write(
      CallSlot slot,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      int[] textValid,
      Cancellation cancellation,
      AttentionCall call,
      int batch,
      StreamHandle queue,
      long ownWorkspace) {
    MemorySegment args = slot.args();
    svdit_attention_args.batch(args, batch);
    write(q, slot.q());
    write(k, slot.k());
    write(v, slot.v());
    write(out, slot.out());
    clearOptions(args);
    if (textValid != null && queue != null) {
      args.set(ADDRESS, TEXT_VALID, queue.counts(textValid));
    } else if (textValid != null) {
      svdit_attention_args.text_valid(args, slot.textValid(textValid));
    }
    if (cancellation != null) {
      svdit_attention_args.cancelled(args, cancellation.flag());
    }
    if (call != null) {
      writeOptions(call, args);
    }
    if (ownWorkspace != 0) {
      args.set(ADDRESS, svdit_attention_args.workspace$offset(), ownWorkspace);
      svdit_attention_args.workspace_bytes(args, plan.workspaceBytes(batch));
    }
  }

  private void runRecorded(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      int[] textValid,
      Cancellation cancellation,
      AttentionCall call,
      int batch,
      StreamHandle queue) {
    AttentionEvent event = new AttentionEvent();
    event.begin();
    runChecked(q, k, v, out, textValid, cancellation, call, batch, queue);
    event.end();
    if (event.shouldCommit()) {
      int[] heads = new int[Mode.values().length];
      plan.patterns().forEach(pattern -> heads[pattern.mode().ordinal()]++);
      event.sequence = plan.sequence().toString();
      event.batch = batch;
      event.full = heads[Mode.FULL.ordinal()];
      event.skip = heads[Mode.SKIP.ordinal()];
      event.diagonal = heads[Mode.DIAGONAL.ordinal()];
      event.multiDiagonal = heads[Mode.MULTI_DIAGONAL.ordinal()];
      event.verticalStripe = heads[Mode.VERTICAL_STRIPE.ordinal()];
      event.blocks = heads[Mode.BLOCKS.ordinal()];
      event.groups = plan.groupCount();
      event.density = density();
      event.commit();
    }
  }

  /** The memory that tensor's elements span, and its strides. */
  static void write(Tensor tensor, MemorySegment to) {
    to.set(ADDRESS, svdit_tensor.data$offset(), tensor.address());
    svdit_tensor.extent_bytes(to, tensor.spanBytes());
    svdit_tensor.stride_batch(to, tensor.stride(0));
    svdit_tensor.stride_head(to, tensor.stride(1));
    svdit_tensor.stride_token(to, tensor.stride(2));
  }

  private static void clearOptions(MemorySegment args) {
    svdit_attention_args.lse(args, MemorySegment.NULL);
    svdit_attention_args.lse_bytes(args, 0);
    svdit_attention_args.text_valid(args, MemorySegment.NULL);
    svdit_attention_args.scale(args, 0);
    svdit_attention_args.head_begin(args, 0);
    svdit_attention_args.head_end(args, 0);
    svdit_attention_args.query_block_begin(args, 0);
    svdit_attention_args.query_block_end(args, 0);
    svdit_attention_args.workspace(args, MemorySegment.NULL);
    svdit_attention_args.workspace_bytes(args, 0);
    svdit_attention_args.cancelled(args, MemorySegment.NULL);
  }

  private static void writeOptions(AttentionCall call, MemorySegment args) {
    if (call.lse != null) {
      args.set(ADDRESS, svdit_attention_args.lse$offset(), call.lse.address());
      svdit_attention_args.lse_bytes(args, call.lse.spanBytes());
    }
    if (call.textValidBuffer != null) {
      args.set(ADDRESS, TEXT_VALID, call.textValidBuffer.address());
    }
    svdit_attention_args.scale(args, call.scale);
    svdit_attention_args.head_begin(args, call.headBegin);
    svdit_attention_args.head_end(args, call.headEnd);
    svdit_attention_args.query_block_begin(args, call.queryBlockBegin);
    svdit_attention_args.query_block_end(args, call.queryBlockEnd);
    if (call.workspace != null) {
      args.set(ADDRESS, svdit_attention_args.workspace$offset(), call.workspace.address());
      svdit_attention_args.workspace_bytes(args, call.workspace.spanBytes());
    }
  }
}
