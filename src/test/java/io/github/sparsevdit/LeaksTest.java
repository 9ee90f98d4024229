package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** {@code -Dsvdit.leaks=true} reports what was never closed, with where it was made. */
class LeaksTest {
  /** Leaks a tensor and a plan, closes others, and lets the collector find them. */
  static final class Main {
    public static void main(String[] arguments) throws Exception {
      Backend backend = Backend.cpu();
      leak(backend);
      backend.allocate(ElementType.FP32, 5).close();
      backend.close();
      for (int i = 0; i < 20; i++) {
        System.gc();
        Thread.sleep(50);
      }
      System.out.println("done");
    }

    static void leak(Backend backend) {
      Tensor tensor = backend.allocate(ElementType.FP32, 3);
      AttentionPlan plan =
          backend.plan(Sequence.video(1, 2, 3), tensor.type(), 64, 64, List.of(Pattern.full()));
      plan.density();
    }
  }

  @Test
  void leaksAreReportedWithTheirOrigin() throws Exception {
    String output =
        new OtherJvm()
            .option("-Dsvdit.leaks=true")
            .option("-Dsvdit.library=" + System.getProperty("svdit.library"))
            .run(Main.class);
    assertTrue(output.contains("a FP32 tensor [3] was never closed; it was made here:"), output);
    assertTrue(output.contains("an attention plan for 1x2x3 was never closed"), output);
    assertEquals(
        2, output.lines().filter(line -> line.contains("LeaksTest$Main.leak(")).count(), output);
    assertFalse(output.contains("tensor [5]"), output);
    assertFalse(output.contains("a backend was"), output);
    assertTrue(output.endsWith("done\n"), output);
  }

  /** Ends while a tensor is still in use. */
  static final class Exiting {
    static Tensor tensor;

    public static void main(String[] arguments) {
      Backend backend = Backend.cpu();
      tensor = backend.allocate(ElementType.FP32, 7);
      System.out.println("done");
    }
  }

  @Test
  void whatIsOpenAtExitIsReportedToo() throws Exception {
    String output =
        new OtherJvm()
            .option("-Dsvdit.leaks=true")
            .option("-Dsvdit.library=" + System.getProperty("svdit.library"))
            .run(Exiting.class);
    assertTrue(output.contains("a backend was not closed before exit"), output);
    assertTrue(output.contains("a FP32 tensor [7] was not closed before exit"), output);
    assertTrue(output.contains("LeaksTest$Exiting.main("), output);
  }

  @Test
  void withoutThePropertyNothingIsSaid() throws Exception {
    String output =
        new OtherJvm()
            .option("-Dsvdit.library=" + System.getProperty("svdit.library"))
            .run(Main.class);
    assertEquals("done\n", output);
  }
}
