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
 * Calls whose tensors stay open while they run. The addresses of the tensors stand inside the
 * arguments' struct, which keeps no arena open; a segment that is itself an argument does. So the
 * tensors' segments follow the declared arguments, where the callee, by the C calling conventions
 * of all platforms we build for, does not look. Closing one of them meanwhile is then refused (or
 * waits, for memory of ours) instead of pulling the memory from under the kernel.
 */
public final class HeldCalls {
  private static final MethodHandle ATTENTION = handle(Svdit.svdit_attention$address());
  private static final MethodHandle SWEEP = handle(Svdit.svdit_sweep$address());
  private static final MethodHandle LINEAR = handle(Svdit.svdit_linear$address());
  private static final MethodHandle NORM = handle(Svdit.svdit_norm$address());
  private static final MethodHandle ROPE = handle(Svdit.svdit_rope$address());
  private static final MethodHandle RESIDUAL = handle(Svdit.svdit_residual$address());
  private static final MethodHandle NORM_ROPE = pairHandle(Svdit.svdit_norm_rope$address());
  private static final MethodHandle RESIDUAL_NORM = pairHandle(Svdit.svdit_residual_norm$address());
  private static final MethodHandle CONVERT = handle(Svdit.svdit_convert$address());

  private static final MemorySegment NONE = MemorySegment.NULL;

  private HeldCalls() {}

  /** svdit_attention; returns its status. */
  public static int attention(
      MemorySegment plan,
      MemorySegment args,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment q,
      MemorySegment k,
      MemorySegment v,
      MemorySegment out,
      MemorySegment lse,
      MemorySegment workspace,
      MemorySegment textValid) {
    return call(ATTENTION, plan, args, stream, error, q, k, v, out, lse, workspace, textValid);
  }

  /** svdit_sweep; returns its status. */
  public static int sweep(
      MemorySegment plan,
      MemorySegment args,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment q,
      MemorySegment k,
      MemorySegment v,
      MemorySegment gram) {
    return call(SWEEP, plan, args, stream, error, q, k, v, gram, NONE, NONE, NONE);
  }

  /** svdit_linear; returns its status. */
  public static int linear(
      MemorySegment backend,
      MemorySegment args,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment x,
      MemorySegment weight,
      MemorySegment bias,
      MemorySegment y) {
    return call(LINEAR, backend, args, stream, error, x, weight, bias, y, NONE, NONE, NONE);
  }

  /** svdit_norm; returns its status. */
  public static int norm(
      MemorySegment backend,
      MemorySegment args,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment x,
      MemorySegment weight,
      MemorySegment bias,
      MemorySegment scale,
      MemorySegment shift,
      MemorySegment y) {
    return call(NORM, backend, args, stream, error, x, weight, bias, scale, shift, y, NONE);
  }

  /** svdit_rope; returns its status. */
  public static int rope(
      MemorySegment backend,
      MemorySegment args,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment x,
      MemorySegment cosine,
      MemorySegment sine) {
    return call(ROPE, backend, args, stream, error, x, cosine, sine, NONE, NONE, NONE, NONE);
  }

  /** svdit_residual; returns its status. */
  public static int residual(
      MemorySegment backend,
      MemorySegment args,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment x,
      MemorySegment gate,
      MemorySegment y) {
    return call(RESIDUAL, backend, args, stream, error, x, gate, y, NONE, NONE, NONE, NONE);
  }

  /** svdit_norm_rope; returns its status. */
  public static int normRope(
      MemorySegment backend,
      MemorySegment norm,
      MemorySegment rope,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment x,
      MemorySegment weight,
      MemorySegment bias,
      MemorySegment cosine,
      MemorySegment sine) {
    return pair(
        NORM_ROPE, backend, norm, rope, stream, error, x, weight, bias, cosine, sine, NONE, NONE,
        NONE);
  }

  /** svdit_residual_norm; returns its status. */
  public static int residualNorm(
      MemorySegment backend,
      MemorySegment residual,
      MemorySegment norm,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment x,
      MemorySegment gate,
      MemorySegment sum,
      MemorySegment weight,
      MemorySegment bias,
      MemorySegment scale,
      MemorySegment shift,
      MemorySegment y) {
    return pair(
        RESIDUAL_NORM,
        backend,
        residual,
        norm,
        stream,
        error,
        x,
        gate,
        sum,
        weight,
        bias,
        scale,
        shift,
        y);
  }

  /** svdit_convert; returns its status. */
  public static int convert(
      MemorySegment backend,
      MemorySegment args,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment x,
      MemorySegment y) {
    return call(CONVERT, backend, args, stream, error, x, y, NONE, NONE, NONE, NONE, NONE);
  }

  /** handle is a constant where this is called, and so where the compiler puts this in line. */
  private static int call(
      MethodHandle handle,
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
      return (int) handle.invokeExact(callee, args, stream, error, a, b, c, d, e, f, g);
    } catch (RuntimeException | Error failure) {
      throw failure; // a segment closed or confined to another thread
    } catch (Throwable failure) {
      throw new AssertionError(failure);
    }
  }

  /** The same for two operations in one. */
  private static int pair(
      MethodHandle handle,
      MemorySegment backend,
      MemorySegment first,
      MemorySegment second,
      MemorySegment stream,
      MemorySegment error,
      MemorySegment a,
      MemorySegment b,
      MemorySegment c,
      MemorySegment d,
      MemorySegment e,
      MemorySegment f,
      MemorySegment g,
      MemorySegment h) {
    try {
      return (int)
          handle.invokeExact(backend, first, second, stream, error, a, b, c, d, e, f, g, h);
    } catch (RuntimeException | Error failure) {
      throw failure; // a segment closed or confined to another thread
    } catch (Throwable failure) {
      throw new AssertionError(failure);
    }
  }

  private static MethodHandle pairHandle(MemorySegment address) {
    return handle(address, 13);
  }

  private static MethodHandle handle(MemorySegment address) {
    return handle(address, 11);
  }

  private static MethodHandle handle(MemorySegment address, int arguments) {
    AddressLayout[] pointers = new AddressLayout[arguments];
    Arrays.fill(pointers, ValueLayout.ADDRESS);
    FunctionDescriptor descriptor = FunctionDescriptor.of(ValueLayout.JAVA_INT, pointers);
    return Linker.nativeLinker().downcallHandle(address, descriptor);
  }
}
