package io.github.sparsevdit;

import static io.github.sparsevdit.internal.Access.memory;

import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_sweep_args;
import io.github.sparsevdit.internal.CallSlot;
import io.github.sparsevdit.internal.HeldCall;
import io.github.sparsevdit.internal.NativeCalls;
import io.github.sparsevdit.internal.PlanHandle;
import io.github.sparsevdit.internal.StreamHandle;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Writes a sweep's arguments, runs it, reads its results. */
final class Sweep {
  private Sweep() {}

  static SweepResult run(
      AttentionPlan plan, PlanHandle handle, SweepRequest request, Tensor q, Tensor k, Tensor v) {
    TensorCheck check = new TensorCheck(plan, handle.backend());
    int batch = (int) check.inputs(q, k, v);
    check.textValid(request.textValid(), batch);
    TensorCheck.scale(request.scale());
    int heads = heads(plan, request);
    int keyBlocks = plan.sequence().videoBlocks(plan.block());
    requireFits(plan, check, request, heads);
    int count = request.queryBlocks().length;
    int stops = request.stops().length;
    long rows = (long) batch * heads * count;
    requireArray("error", rows * stops);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment args = svdit_sweep_args.allocate(arena);
      svdit_sweep_args.struct_bytes(args, (int) svdit_sweep_args.sizeof());
      svdit_sweep_args.batch(args, batch);
      AttentionRunner.write(q, svdit_sweep_args.q(args));
      AttentionRunner.write(k, svdit_sweep_args.k(args));
      AttentionRunner.write(v, svdit_sweep_args.v(args));
      write(request, args, arena);
      MemorySegment error = arena.allocate(ValueLayout.JAVA_DOUBLE, Math.max(rows * stops, 1));
      MemorySegment norm = arena.allocate(ValueLayout.JAVA_DOUBLE, rows);
      svdit_sweep_args.error(args, error);
      svdit_sweep_args.norm(args, norm);
      MemorySegment reference = MemorySegment.NULL;
      if (request.reference()) {
        long size = rows * plan.block() * plan.headDim();
        requireArray("O_0", size);
        reference = arena.allocate(ValueLayout.JAVA_FLOAT, size);
        svdit_sweep_args.reference(args, reference);
      }
      MemorySegment mass = MemorySegment.NULL;
      if (request.mass()) {
        requireArray("mass", rows * keyBlocks);
        mass = arena.allocate(ValueLayout.JAVA_DOUBLE, rows * keyBlocks);
        svdit_sweep_args.mass(args, mass);
      }
      call(handle, args, request, q, k, v);
      return new SweepResult(
          heads,
          count,
          stops,
          plan.block(),
          plan.headDim(),
          keyBlocks,
          error.asSlice(0, rows * stops * Double.BYTES).toArray(ValueLayout.JAVA_DOUBLE),
          norm.toArray(ValueLayout.JAVA_DOUBLE),
          request.reference() ? reference.toArray(ValueLayout.JAVA_FLOAT) : null,
          request.mass() ? mass.toArray(ValueLayout.JAVA_DOUBLE) : null);
    }
  }

  private static void call(
      PlanHandle handle, MemorySegment args, SweepRequest request, Tensor q, Tensor k, Tensor v) {
    StreamHandle queue = handle.backend().defaultStream();
    if (queue == null) {
      CallSlot slot = handle.hold();
      try {
        call(handle, slot, args, MemorySegment.NULL, request, q, k, v);
      } finally {
        slot.release();
      }
      return;
    }
    queue.enter(); // before a slot is held, which who closes the plan waits for
    try {
      CallSlot slot = handle.hold();
      try {
        queue.uses(handle);
        queue.uses(memory(q));
        queue.uses(memory(k));
        queue.uses(memory(v));
        bringWorkspace(handle, slot, args, queue);
        call(handle, slot, args, queue.pointer(), request, q, k, v);
      } finally {
        slot.release();
      }
    } finally {
      queue.exit();
    }
  }

  private static void bringWorkspace(
      PlanHandle handle, CallSlot slot, MemorySegment args, StreamHandle queue) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(ValueLayout.JAVA_LONG);
      int status = Svdit.svdit_sweep_workspace(handle.pointer(), args, bytes, slot.error());
      if (status != Svdit.SVDIT_OK()) {
        throw NativeCalls.failure(status, slot.error());
      }
      long needed = bytes.get(ValueLayout.JAVA_LONG, 0);
      if (needed > 0) {
        svdit_sweep_args.workspace(args, MemorySegment.ofAddress(queue.workspace(needed)));
        svdit_sweep_args.workspace_bytes(args, needed);
      }
    }
  }

  private static void call(
      PlanHandle handle,
      CallSlot slot,
      MemorySegment args,
      MemorySegment stream,
      SweepRequest request,
      Tensor q,
      Tensor k,
      Tensor v) {
    MemorySegment gram =
        request.gram() == null ? MemorySegment.NULL : memory(request.gram()).segment();
    int status =
        HeldCall.SWEEP.call(
            handle.pointer(),
            args,
            stream,
            slot.error(),
            memory(q).segment(),
            memory(k).segment(),
            memory(v).segment(),
            gram,
            MemorySegment.NULL,
            MemorySegment.NULL,
            MemorySegment.NULL);
    if (status != Svdit.SVDIT_OK()) {
      throw NativeCalls.failure(status, slot.error());
    }
  }

  private static void write(SweepRequest request, MemorySegment args, Arena arena) {
    if (request.textValid() != null) {
      svdit_sweep_args.text_valid(
          args, arena.allocateFrom(ValueLayout.JAVA_INT, request.textValid()));
    }
    svdit_sweep_args.scale(args, request.scale());
    svdit_sweep_args.rule(args, request.rule().ordinal());
    Order order = request.order();
    svdit_sweep_args.order(args, order.kind().ordinal());
    svdit_sweep_args.tile_t(args, order.tileT());
    svdit_sweep_args.tile_h(args, order.tileH());
    svdit_sweep_args.tile_w(args, order.tileW());
    svdit_sweep_args.head_begin(args, request.headBegin());
    svdit_sweep_args.head_end(args, request.headEnd());
    svdit_sweep_args.query_block_count(args, request.queryBlocks().length);
    svdit_sweep_args.query_blocks(
        args, arena.allocateFrom(ValueLayout.JAVA_INT, request.queryBlocks()));
    svdit_sweep_args.stop_count(args, request.stops().length);
    if (request.stops().length > 0) {
      svdit_sweep_args.stops(args, arena.allocateFrom(ValueLayout.JAVA_LONG, request.stops()));
    }
    int[][] first = request.first();
    if (first != null) {
      long[] offsets = new long[first.length + 1];
      for (int head = 0; head < first.length; head++) {
        offsets[head + 1] = offsets[head] + first[head].length;
      }
      int[] all = Arrays.stream(first).flatMapToInt(Arrays::stream).toArray();
      svdit_sweep_args.first(
          args,
          arena.allocateFrom(ValueLayout.JAVA_INT, Arrays.copyOf(all, Math.max(all.length, 1))));
      svdit_sweep_args.first_offsets(args, arena.allocateFrom(ValueLayout.JAVA_LONG, offsets));
    }
    if (request.gram() != null) {
      svdit_sweep_args.gram(args, MemorySegment.ofAddress(request.gram().address()));
    }
  }

  /** How many heads are swept. */
  private static int heads(AttentionPlan plan, SweepRequest request) {
    int all = plan.patterns().size();
    int begin = request.headBegin();
    int end = request.headEnd();
    if (begin == 0 && end == 0) {
      return all;
    }
    if (begin < 0 || end > all || begin >= end) {
      throw new IllegalArgumentException(
          "heads [" + begin + ", " + end + "): expected a range within [0, " + all + ")");
    }
    return end - begin;
  }

  /** What would otherwise make native code read beyond an array. Values it checks itself. */
  private static void requireFits(
      AttentionPlan plan, TensorCheck check, SweepRequest request, int heads) {
    int[][] first = request.first();
    if (first != null && first.length != heads) {
      throw new IllegalArgumentException(
          "first has " + first.length + " lists; expected one per head swept, " + heads);
    }
    Tensor gram = request.gram();
    if (gram == null) {
      return;
    }
    int d = plan.headDim();
    boolean shaped =
        gram.rank() == 3 && gram.size(0) == heads && gram.size(1) == d && gram.size(2) == d;
    if (gram.type() != ElementType.FP32 || !shaped || !gram.contiguous()) {
      throw new IllegalArgumentException(
          "gram is " + gram + ": expected contiguous FP32 [" + heads + ", " + d + ", " + d + "]");
    }
    TensorCheck.reachableOnHost("gram", gram);
  }

  private static void requireArray(String what, long elements) {
    if (elements > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          what
              + " would have "
              + elements
              + " elements, more than an array can have: sweep fewer heads or query blocks");
    }
  }
}
