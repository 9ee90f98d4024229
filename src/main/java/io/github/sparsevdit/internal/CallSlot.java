package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.svdit_attention_args;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The native structs of one running call, made once and used again. Held by one thread at a time.
 */
public final class CallSlot {
  private final AtomicBoolean held = new AtomicBoolean();
  private final MemorySegment args;
  private final MemorySegment q;
  private final MemorySegment k;
  private final MemorySegment v;
  private final MemorySegment out;
  private final MemorySegment error;
  private MemorySegment textValid = MemorySegment.NULL;

  CallSlot() {
    Arena arena = Arena.ofAuto(); // any thread may be the next holder
    args = svdit_attention_args.allocate(arena);
    svdit_attention_args.struct_bytes(args, (int) svdit_attention_args.sizeof());
    q = svdit_attention_args.q(args);
    k = svdit_attention_args.k(args);
    v = svdit_attention_args.v(args);
    out = svdit_attention_args.out(args);
    error = NativeCalls.newError(arena);
  }

  boolean tryHold() {
    return !held.get() && held.compareAndSet(false, true);
  }

  /** Gives it to the next call. */
  public void release() {
    held.setRelease(false);
  }

  /** A svdit_attention_args with struct_bytes set; the other fields are the last call's. */
  public MemorySegment args() {
    return args;
  }

  /** The svdit_tensor q inside args(). */
  public MemorySegment q() {
    return q;
  }

  /** The svdit_tensor k inside args(). */
  public MemorySegment k() {
    return k;
  }

  /** The svdit_tensor v inside args(). */
  public MemorySegment v() {
    return v;
  }

  /** The svdit_tensor out inside args(). */
  public MemorySegment out() {
    return out;
  }

  /** A svdit_error with struct_bytes set. */
  public MemorySegment error() {
    return error;
  }

  /** Native memory with counts in it. */
  public MemorySegment textValid(int[] counts) {
    long bytes = counts.length * ValueLayout.JAVA_INT.byteSize();
    if (textValid.byteSize() < bytes) {
      textValid = Arena.ofAuto().allocate(bytes, ValueLayout.JAVA_INT.byteAlignment());
    }
    MemorySegment.copy(counts, 0, textValid, ValueLayout.JAVA_INT, 0, counts.length);
    return textValid;
  }
}
