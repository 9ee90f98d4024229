package io.github.sparsevdit;

import com.sun.management.ThreadMXBean;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_attention_args;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.internal.NativeCalls;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * What {@code run()} on a CUDA stream takes over the C call it makes, the same plan and tensors
 * called from a C loop in turns with it (native/test/device/call_loop.cpp). Prints one JSON line;
 * the exit code is 1 if it is more than a microsecond, or a call makes garbage.
 */
final class CallOverhead {
  private static final int CALLS = 100; // what a device queues without making the caller wait
  private static final int ROUNDS = 400;
  private static final int WARM_UP = 200;
  private static final double MOST_NS = 1000;

  private CallOverhead() {}

  public static void main(String[] arguments) throws Throwable {
    Sequence sequence = Sequence.video(1, 8, 8);
    List<Pattern> patterns = List.of(Pattern.full());
    try (Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        AttentionPlan plan = cuda.plan(sequence, ElementType.BF16, 64, 64, patterns);
        Tensor q = cuda.allocate(ElementType.BF16, 1, 1, 64, 64);
        Tensor out = cuda.allocate(ElementType.BF16, 1, 1, 64, 64);
        DeviceBuffer workspace = cuda.buffer(plan.workspaceBytes(1));
        Arena arena = Arena.ofConfined()) {
      q.copyFrom(arena.allocate(q.spanBytes()));
      MemorySegment raw =
          PlanCompiler.compile(
              cuda.handle(),
              new AttentionPlan.Source(sequence, 0, ElementType.BF16, 64, 64, patterns));
      MemorySegment args = arguments(arena, q, out, workspace);
      MemorySegment error = NativeCalls.newError(arena);
      MethodHandle loop = loop(Path.of(arguments[0]), arena);
      ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
      long thread = Thread.currentThread().threadId();
      double[] java = new double[ROUNDS];
      double[] c = new double[ROUNDS];
      long bytes = Long.MAX_VALUE;
      for (int round = -WARM_UP; round < ROUNDS; round++) {
        stream.synchronize();
        long allocated = threads.getThreadAllocatedBytes(thread);
        long begin = System.nanoTime();
        for (int i = 0; i < CALLS; i++) {
          plan.run(q, q, q, out, stream);
        }
        long end = System.nanoTime();
        bytes = Math.min(bytes, threads.getThreadAllocatedBytes(thread) - allocated);
        stream.synchronize();
        long inC =
            (long)
                loop.invokeExact(
                    Svdit.svdit_attention$address(),
                    raw,
                    args,
                    MemorySegment.ofAddress(stream.handle()),
                    error,
                    (long) CALLS);
        if (inC < 0) {
          throw NativeCalls.failure(Svdit.SVDIT_DEVICE_ERROR(), error);
        }
        if (round >= 0) {
          java[round] = (double) (end - begin) / CALLS;
          c[round] = (double) inC / CALLS;
        }
      }
      stream.synchronize();
      Svdit.svdit_plan_destroy(raw);
      Arrays.sort(java);
      Arrays.sort(c);
      double over = java[ROUNDS / 2] - c[ROUNDS / 2];
      System.out.printf(
          Locale.ROOT,
          "{\"what\": \"call overhead\", \"device\": \"%s\", \"java_ns\": %.0f, \"c_ns\": %.0f,"
              + " \"over_ns\": %.0f, \"bytes\": %d}%n",
          cuda.info().name(),
          java[ROUNDS / 2],
          c[ROUNDS / 2],
          over,
          bytes / CALLS);
      if (over > MOST_NS || bytes / CALLS > 0) {
        System.exit(1);
      }
    }
  }

  private static MemorySegment arguments(
      Arena arena, Tensor q, Tensor out, DeviceBuffer workspace) {
    MemorySegment args = svdit_attention_args.allocate(arena);
    svdit_attention_args.struct_bytes(args, (int) svdit_attention_args.sizeof());
    svdit_attention_args.batch(args, 1);
    AttentionRunner.write(q, svdit_attention_args.q(args));
    AttentionRunner.write(q, svdit_attention_args.k(args));
    AttentionRunner.write(q, svdit_attention_args.v(args));
    AttentionRunner.write(out, svdit_attention_args.out(args));
    svdit_attention_args.workspace(args, MemorySegment.ofAddress(workspace.address()));
    svdit_attention_args.workspace_bytes(args, workspace.bytes());
    return args;
  }

  private static MethodHandle loop(Path library, Arena arena) {
    return Linker.nativeLinker()
        .downcallHandle(
            SymbolLookup.libraryLookup(library.toAbsolutePath(), arena)
                .find("svdit_call_loop")
                .orElseThrow(),
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG));
  }
}
