package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.bindings.SvditSymbols;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/** The device of libsvdit-sim.so (native/sim/cudart), which tests can make fail. */
public final class SimulatedDevice {
  private SimulatedDevice() {}

  /** Whether the library in use has one; on a real device tests of failures are skipped. */
  public static boolean present() {
    return symbol("svdit_sim_configure").isPresent();
  }

  /**
   * Sets it up anew, for example {@code "fault=3"}; what is not named is as usual, and a lost
   * context is found again.
   */
  public static void configure(String text) {
    assumeTrue(present(), "needs the simulated device");
    try (Arena arena = Arena.ofConfined()) {
      int understood =
          (int)
              Linker.nativeLinker()
                  .downcallHandle(
                      symbol("svdit_sim_configure").orElseThrow(),
                      FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS))
                  .invokeExact(arena.allocateFrom(text));
      assertEquals(1, understood, text);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** How many kernels it ran. */
  public static long launches() {
    return number("svdit_sim_launches");
  }

  /** How many graphs were launched on it. */
  public static long graphLaunches() {
    return number("svdit_sim_graph_launches");
  }

  /** Bytes of its memory in use. */
  public static long memoryUsed() {
    return number("svdit_sim_memory_used");
  }

  private static long number(String name) {
    assumeTrue(present(), "needs the simulated device");
    try {
      return (long)
          Linker.nativeLinker()
              .downcallHandle(
                  symbol(name).orElseThrow(), FunctionDescriptor.of(ValueLayout.JAVA_LONG))
              .invokeExact();
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private static Optional<MemorySegment> symbol(String name) {
    Backend.library();
    return SvditSymbols.lookup().find(name);
  }
}
