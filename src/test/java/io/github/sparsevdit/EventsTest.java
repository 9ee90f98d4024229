package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Flight recorder events, written and read back. */
class EventsTest {
  @TempDir Path folder;

  @Test
  void plansAndCallsAreRecorded() throws Exception {
    Path file = folder.resolve("run.jfr");
    Sequence sequence = Sequence.video(2, 8, 8).withText(4, false);
    List<Pattern> patterns =
        List.of(
            Pattern.full(),
            Pattern.skip(),
            Pattern.diagonal(1),
            Pattern.diagonal(2),
            Pattern.multiDiagonal(1),
            Pattern.verticalStripe(0),
            Pattern.blocks(Order.FRAME_MAJOR, List.of(List.of(0), List.of(1))));
    try (Backend backend = Backend.cpu();
        Recording recording = new Recording()) {
      recording.enable("svdit.Plan");
      recording.enable("svdit.Attention");
      recording.start();
      double density;
      try (AttentionPlan plan = backend.plan(sequence, ElementType.FP32, 8, 64, patterns);
          Tensor in = backend.allocate(ElementType.FP32, 2, 7, sequence.tokens(), 8);
          Tensor out = backend.allocate(ElementType.FP32, 2, 7, sequence.tokens(), 8)) {
        in.copyFrom(new float[(int) in.elements()]);
        density = plan.meanDensity();
        plan.run(in, in, in, out);
        plan.call().textValid(1, 2).run(in, in, in, out);
      }
      recording.stop();
      recording.dump(file);
      List<RecordedEvent> events = RecordingFile.readAllEvents(file);
      List<RecordedEvent> plans = named(events, "svdit.Plan");
      assertEquals(1, plans.size());
      RecordedEvent plan = plans.get(0);
      assertEquals("2x8x8 + 4 text last", plan.getString("sequence"));
      assertEquals("FP32", plan.getString("type"));
      assertEquals(64, plan.getInt("block"));
      assertEquals(7, plan.getInt("heads"));
      assertEquals(6, plan.getInt("groups"));
      assertEquals(patterns.toString(), plan.getString("patterns"));
      assertEquals(density, plan.getDouble("density"));
      assertTrue(plan.getDuration().toNanos() > 0);
      List<RecordedEvent> calls = named(events, "svdit.Attention");
      assertEquals(2, calls.size());
      for (RecordedEvent call : calls) {
        assertEquals(2, call.getInt("batch"));
        assertEquals(1, call.getInt("full"));
        assertEquals(1, call.getInt("skip"));
        assertEquals(2, call.getInt("diagonal"));
        assertEquals(1, call.getInt("multiDiagonal"));
        assertEquals(1, call.getInt("verticalStripe"));
        assertEquals(1, call.getInt("blocks"));
        assertEquals(6, call.getInt("groups"));
        assertEquals(density, call.getDouble("density"));
        assertTrue(call.getDuration().toNanos() > 0);
      }
    }
  }

  /** Loads the library while a recording runs. */
  static final class Main {
    public static void main(String[] arguments) throws Exception {
      try (Recording recording = new Recording()) {
        recording.enable("svdit.LibraryLoad");
        recording.start();
        try {
          Backend.library();
        } catch (BackendUnavailableException notThere) {
          System.out.println("unavailable");
        }
        recording.stop();
        recording.dump(Path.of(arguments[0]));
      }
    }
  }

  @Test
  void loadingTheLibraryIsRecorded() throws Exception {
    String library = System.getProperty("svdit.library");
    Path file = folder.resolve("load.jfr");
    new OtherJvm().option("-Dsvdit.library=" + library).run(Main.class, file.toString());
    RecordedEvent load = named(RecordingFile.readAllEvents(file), "svdit.LibraryLoad").get(0);
    assertEquals(Path.of(library).toAbsolutePath().toString(), load.getString("path"));
    assertEquals("-Dsvdit.library", load.getString("origin"));
    assertEquals(Backend.library().build(), load.getString("build"));
    Path failed = folder.resolve("failed.jfr");
    new OtherJvm().option("-Dsvdit.library=/none").run(Main.class, failed.toString());
    RecordedEvent failure = named(RecordingFile.readAllEvents(failed), "svdit.LibraryLoad").get(0);
    assertTrue(failure.getString("failure").contains("/none: no such file"));
  }

  private static List<RecordedEvent> named(List<RecordedEvent> events, String name) {
    return events.stream().filter(event -> event.getEventType().getName().equals(name)).toList();
  }
}
