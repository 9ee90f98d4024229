package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;

/**
 * A native function whose tensors stay open while it runs. The addresses of the tensors stand
 * inside the arguments' struct, which keeps no arena open; a segment that is itself an argument
 * does. So the tensors' segments follow the declared arguments, where the callee, by the C calling
 * conventions of all platforms we build for, does not look. Closing one of them meanwhile is then
 * refused (or waits, for memory of ours) instead of pulling the memory from under the kernel.
 *
 * <p>Every call takes {@link #ARGUMENTS} segments: those that the function declares, those it must
 * keep open, and {@code MemorySegment.NULL} for the rest.
 */
public record HeldCall(MethodHandle handle) { // a record's fields are constants to the compiler
  public static final HeldCall ATTENTION = of(Svdit.svdit_attention$address());
  public static final HeldCall SWEEP = of(Svdit.svdit_sweep$address());
  public static final HeldCall LINEAR = of(Svdit.svdit_linear$address());
  public static final HeldCall NORM = of(Svdit.svdit_norm$address());
  public static final HeldCall ROPE = of(Svdit.svdit_rope$address());
  public static final HeldCall RESIDUAL = of(Svdit.svdit_residual$address());
  public static final HeldCall NORM_ROPE = of(Svdit.svdit_norm_rope$address());
  public static final HeldCall RESIDUAL_NORM = of(Svdit.svdit_residual_norm$address());
  public static final HeldCall CONVERT = of(Svdit.svdit_convert$address());
  public static final HeldCall CONV = of(Svdit.svdit_conv$address());
  public static final HeldCall GROUP_NORM = of(Svdit.svdit_group_norm$address());
  public static final HeldCall SPREAD = of(Svdit.svdit_spread$address());
  public static final HeldCall SOFTMAX = of(Svdit.svdit_softmax$address());
  public static final HeldCall MULTIPLY = of(Svdit.svdit_multiply$address());
  public static final HeldCall TRANSPOSE = of(Svdit.svdit_transpose$address());

  /** As many as the longest call needs: five declared, eight tensors. */
  public static final int ARGUMENTS = 13;

  private static final MemorySegment NONE = MemorySegment.NULL;

  private static HeldCall of(MemorySegment address) {
    AddressLayout[] pointers = new AddressLayout[ARGUMENTS];
    Arrays.fill(pointers, ValueLayout.ADDRESS);
    FunctionDescriptor descriptor = FunctionDescriptor.of(ValueLayout.JAVA_INT, pointers);
    return new HeldCall(Linker.nativeLinker().downcallHandle(address, descriptor));
  }

  /** Calls it; returns its status. */
  public int call(MemorySegment[] a) {
    try {
      return (int)
          handle.invokeExact(
              a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12]);
    } catch (Throwable failure) {
      throw unchecked(failure);
    }
  }

  /** Calls a function of four arguments, with up to seven tensors; returns its status. */
  public int call(
      MemorySegment callee,
      MemorySegment args,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment a,
      MemorySegment b,
      MemorySegment c,
      MemorySegment d,
      MemorySegment e,
      MemorySegment f,
      MemorySegment g) {
    try {
      return (int) handle.invokeExact(callee, args, stream, error, a, b, c, d, e, f, g, NONE, NONE);
    } catch (Throwable failure) {
      throw unchecked(failure);
    }
  }

  private static RuntimeException unchecked(Throwable failure) {
    return switch (failure) {
      case RuntimeException closed -> closed; // a segment, or confined to another thread
      case Error error -> throw error;
      default -> throw new AssertionError(failure);
    };
  }
}
