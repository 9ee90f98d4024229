package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/**
 * A million calls leave the process as large as it was, from one thread and from sixteen at once.
 * They run in a JVM of their own, whose heap is all in memory from the start, so that what grows is
 * what leaks.
 */
class SoakTest {
  private static final int CALLS = 1_000_000; // of one thread
  private static final int CALLS_EACH = 100_000; // of sixteen
  private static final int WARM_UP = 200_000; // of all
  private static final long PAGE = 4096;
  private static final long SLACK = 4 << 20; // 4 bytes lost a call would be as much

  @Test
  void aMillionCallsLeakNothing() throws Exception {
    requireNoGrowth(1, CALLS);
  }

  /** All share the backend's two threads and one plan. */
  @Test
  void aHundredThousandCallsOfEachOfSixteenThreadsLeakNothing() throws Exception {
    requireNoGrowth(16, CALLS_EACH);
  }

  private static void requireNoGrowth(int threads, int calls) throws Exception {
    String output =
        new OtherJvm()
            .option("-XX:+UseSerialGC")
            .option("-Xms64m")
            .option("-Xmx64m")
            .option("-XX:+AlwaysPreTouch")
            .option("-Dsvdit.library=" + System.getProperty("svdit.library"))
            .run(SoakTest.class, String.valueOf(threads), String.valueOf(calls))
            .strip();
    String[] grown = output.split(" ");
    assertEquals(2, grown.length, output);
    assertTrue(Long.parseLong(grown[0]) < SLACK, "the Java heap grew by " + grown[0] + " bytes");
    assertTrue(Long.parseLong(grown[1]) < SLACK, "the process grew by " + grown[1] + " bytes");
  }

  /** Prints by how many bytes the heap and the process grew; takes threads, and calls of each. */
  public static void main(String[] arguments) throws Exception {
    int threads = Integer.parseInt(arguments[0]);
    int calls = Integer.parseInt(arguments[1]);
    Sequence sequence = Sequence.video(1, 1, 16).withText(2, false);
    try (Backend backend = Backend.cpu(new CpuOptions(Math.min(threads, 2), CpuOptions.Tier.AUTO));
        AttentionPlan plan =
            backend.plan(sequence, ElementType.FP32, 8, 16, List.of(Pattern.full()));
        Tensor q = backend.allocate(ElementType.FP32, 1, 1, sequence.tokens(), 8);
        ExecutorService callers = Executors.newFixedThreadPool(threads)) {
      q.copyFrom(new float[(int) q.elements()]);
      List<Callable<Void>> warmUp = new ArrayList<>();
      List<Callable<Void>> all = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        Tensor out = backend.allocate(ElementType.FP32, 1, 1, sequence.tokens(), 8);
        AttentionCall call = plan.call().textValid(1);
        warmUp.add(() -> calls(WARM_UP / threads, plan, call, q, out));
        all.add(() -> calls(calls, plan, call, q, out));
      }
      each(callers, warmUp);
      long heap = heap();
      long resident = resident();
      each(callers, all);
      System.out.println((heap() - heap) + " " + (resident() - resident));
    }
  }

  private static void each(ExecutorService callers, List<Callable<Void>> tasks) throws Exception {
    for (Future<Void> done : callers.invokeAll(tasks)) {
      done.get();
    }
  }

  /** Calls that succeed, and now and then one that is refused, in Java and in native code. */
  private static Void calls(
      int count, AttentionPlan plan, AttentionCall call, Tensor q, Tensor out) {
    for (int i = 0; i < count; i += 2) {
      plan.run(q, q, q, out);
      call.run(q, q, q, out);
      if (i % 1000 == 0) {
        refused(() -> plan.run(q, q, q, q));
        refused(() -> plan.runs(0, 99, -1));
      }
    }
    return null;
  }

  private static void refused(Runnable call) {
    try {
      call.run();
    } catch (IllegalArgumentException expected) {
      return;
    }
    throw new AssertionError("not refused");
  }

  private static long heap() throws InterruptedException {
    for (int i = 0; i < 3; i++) {
      System.gc();
      Thread.sleep(20);
    }
    return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
  }

  /** Bytes of the process in memory that are no file's. */
  private static long resident() throws IOException {
    String[] pages = Files.readString(Path.of("/proc/self/statm")).split(" ");
    return (Long.parseLong(pages[1]) - Long.parseLong(pages[2])) * PAGE;
  }
}
