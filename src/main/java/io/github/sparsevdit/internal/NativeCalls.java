package io.github.sparsevdit.internal;

import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.DeviceException;
import io.github.sparsevdit.InvalidArgumentException;
import io.github.sparsevdit.NativeInternalException;
import io.github.sparsevdit.OutOfNativeMemoryException;
import io.github.sparsevdit.SvditException;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_error;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.concurrent.CancellationException;

/** From a native status to an exception. */
public final class NativeCalls {
  private static final System.Logger LOGGER = System.getLogger("io.github.sparsevdit");

  private NativeCalls() {}

  /** A native call: gets the error buffer, returns the status. */
  @FunctionalInterface
  public interface Call {
    int run(MemorySegment error);
  }

  /** Runs call with an error buffer of its own, and throws what it reports. */
  public static void check(Call call) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment error = newError(arena);
      int status = call.run(error);
      if (status != Svdit.SVDIT_OK()) {
        throw failure(status, error);
      }
    }
  }

  /** Runs call, which gives something back; what it reports is logged only. */
  public static void checkQuietly(Call call) {
    quietly(() -> check(call));
  }

  /** Runs what gives something back; what it throws of the native library's is logged only. */
  static void quietly(Runnable run) {
    try {
      run.run();
    } catch (SvditException e) {
      LOGGER.log(Level.DEBUG, "while giving something back", e);
    }
  }

  /** An error buffer, ready for a call. */
  public static MemorySegment newError(SegmentAllocator allocator) {
    MemorySegment error = svdit_error.allocate(allocator);
    svdit_error.struct_bytes(error, (int) svdit_error.sizeof());
    return error;
  }

  /** The exception of a status other than SVDIT_OK, with the message the call left in error. */
  public static RuntimeException failure(int status, MemorySegment error) {
    String message = svdit_error.message(error).getString(0);
    if (status == Svdit.SVDIT_INVALID_ARGUMENT()) {
      return new InvalidArgumentException(message);
    }
    if (status == Svdit.SVDIT_UNSUPPORTED()) {
      return new UnsupportedException(message);
    }
    if (status == Svdit.SVDIT_OUT_OF_MEMORY()) {
      return new OutOfNativeMemoryException(message);
    }
    if (status == Svdit.SVDIT_UNAVAILABLE()) {
      return new BackendUnavailableException(message);
    }
    if (status == Svdit.SVDIT_CANCELLED()) {
      return new CancellationException(message);
    }
    if (status == Svdit.SVDIT_DEVICE_ERROR()) {
      return new DeviceException(message);
    }
    return new NativeInternalException(
        status == Svdit.SVDIT_INTERNAL() ? message : "unknown status " + status + ": " + message);
  }
}
