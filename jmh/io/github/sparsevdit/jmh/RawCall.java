package io.github.sparsevdit.jmh;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_attention_args;
import io.github.sparsevdit.bindings.svdit_error;
import io.github.sparsevdit.bindings.svdit_pattern;
import io.github.sparsevdit.bindings.svdit_plan_desc;
import io.github.sparsevdit.bindings.svdit_sequence;
import io.github.sparsevdit.bindings.svdit_tensor;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The C ABI without this library's Java: a plan of one head and the arguments of a call. */
final class RawCall implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final MemorySegment plan;
  private final MemorySegment args = svdit_attention_args.allocate(arena);
  private final MemorySegment error = svdit_error.allocate(arena);

  RawCall(
      Backend backend,
      Sequence sequence,
      Pattern pattern,
      int headDim,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out) {
    svdit_error.struct_bytes(error, (int) svdit_error.sizeof());
    MemorySegment head = svdit_pattern.allocate(arena);
    svdit_pattern.struct_bytes(head, (int) svdit_pattern.sizeof());
    svdit_pattern.mode(head, pattern.mode().ordinal());
    MemorySegment desc = svdit_plan_desc.allocate(arena);
    svdit_plan_desc.struct_bytes(desc, (int) svdit_plan_desc.sizeof());
    svdit_plan_desc.element_type(desc, q.type().code());
    MemorySegment tokens = svdit_plan_desc.sequence(desc);
    svdit_sequence.struct_bytes(tokens, (int) svdit_sequence.sizeof());
    svdit_sequence.frames(tokens, sequence.frames());
    svdit_sequence.height(tokens, sequence.height());
    svdit_sequence.width(tokens, sequence.width());
    svdit_plan_desc.block(desc, 16);
    svdit_plan_desc.heads(desc, 1);
    svdit_plan_desc.head_dim(desc, headDim);
    svdit_plan_desc.patterns(desc, head);
    MemorySegment created = arena.allocate(ValueLayout.ADDRESS);
    int status = Svdit.svdit_plan_create(Access.handle(backend).pointer(), desc, created, error);
    if (status != Svdit.SVDIT_OK()) {
      throw new IllegalStateException(svdit_error.message(error).getString(0));
    }
    plan = created.get(ValueLayout.ADDRESS, 0);

    svdit_attention_args.struct_bytes(args, (int) svdit_attention_args.sizeof());
    svdit_attention_args.batch(args, 1);
    write(q, svdit_attention_args.q(args));
    write(k, svdit_attention_args.k(args));
    write(v, svdit_attention_args.v(args));
    write(out, svdit_attention_args.out(args));
  }

  MemorySegment plan() {
    return plan;
  }

  MemorySegment args() {
    return args;
  }

  MemorySegment error() {
    return error;
  }

  @Override
  public void close() {
    Svdit.svdit_plan_destroy(plan);
    arena.close();
  }

  private static void write(Tensor tensor, MemorySegment to) {
    svdit_tensor.data(to, tensor.segment());
    svdit_tensor.extent_bytes(to, tensor.spanBytes());
    svdit_tensor.stride_batch(to, tensor.stride(0));
    svdit_tensor.stride_head(to, tensor.stride(1));
    svdit_tensor.stride_token(to, tensor.stride(2));
  }
}
