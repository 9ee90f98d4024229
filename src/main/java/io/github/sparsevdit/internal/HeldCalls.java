package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

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
      MemorySegment workspace) {
    try {
      return (int) ATTENTION.invokeExact(plan, args, stream, error, q, k, v, out, lse, workspace);
    } catch (RuntimeException | Error e) {
      throw e; // a segment closed or confined to another thread
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
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
    try {
      return (int)
          SWEEP.invokeExact(
              plan, args, stream, error, q, k, v, gram, MemorySegment.NULL, MemorySegment.NULL);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private static MethodHandle handle(MemorySegment address) {
    AddressLayout pointer = ValueLayout.ADDRESS;
    FunctionDescriptor descriptor =
        FunctionDescriptor.of(
            ValueLayout.JAVA_INT,
            pointer,
            pointer,
            pointer,
            pointer,
            pointer,
            pointer,
            pointer,
            pointer,
            pointer,
            pointer);
    return Linker.nativeLinker().downcallHandle(address, descriptor);
  }
}
