package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CancellationException;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A search's flight recorder events, written and read back. */
class SearchEventsTest {
  @TempDir Path folder;

  @Test
  void searchesAndTheirPointsAreRecorded() throws Exception {
    SyntheticSource source =
        new SyntheticSource(
            Sequence.video(2, 4, 6),
            2,
            16,
            3,
            1,
            0,
            null,
            List.of(
                (key, random, q, k, v) -> {
                  SyntheticSource.gaussian(random, q, 1);
                  SyntheticSource.gaussian(random, k, 1);
                  SyntheticSource.gaussian(random, v, 1);
                }));
    Candidates candidates = Candidates.builder().diagonal(List.of(0L, 8L)).build();
    SearchOptions options =
        SearchOptions.defaults()
            .withBlock(16)
            .withCandidates(candidates)
            .withRefine(false)
            .withStepsPerPhase(8);
    Path file = folder.resolve("search.jfr");
    try (Backend backend = Backend.cpu();
        Recording recording = new Recording()) {
      recording.enable("svdit.Search").withoutThreshold();
      recording.enable("svdit.SearchPoint").withoutThreshold();
      recording.start();
      new OfflineSearch(backend, options).measure(source);
      OfflineSearch stopped = new OfflineSearch(backend, options);
      stopped.listener(progress -> stopped.cancel());
      assertThrows(CancellationException.class, () -> stopped.measure(source));
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events = RecordingFile.readAllEvents(file);
    List<RecordedEvent> searches = named(events, "svdit.Search");
    assertEquals(2, searches.size());
    assertTrue(searches.get(0).getBoolean("finished"));
    assertFalse(searches.get(1).getBoolean("finished"));
    for (RecordedEvent search : searches) {
      assertEquals("synthetic", search.getString("model"));
      assertEquals("2x4x6", search.getString("sequence"));
      assertEquals(1, search.getInt("samples"));
      assertEquals(candidates.all().size(), search.getInt("candidates"));
      assertTrue(search.getDuration().toNanos() > 0);
    }
    List<RecordedEvent> points = named(events, "svdit.SearchPoint");
    List<Key> keys = source.keys();
    assertEquals(keys.size() + 1, points.size(), "all points of one search, one of the other");
    for (int i = 0; i < points.size(); i++) {
      RecordedEvent point = points.get(i);
      assertEquals("SURVEY", point.getString("stage"));
      assertEquals(
          keys.get(i % keys.size()),
          new Key(
              point.getInt("sample"),
              point.getInt("step"),
              point.getInt("layer"),
              point.getInt("branch")));
      assertTrue(point.getDuration().toNanos() > 0);
    }
  }

  private static List<RecordedEvent> named(List<RecordedEvent> events, String name) {
    return events.stream()
        .filter(event -> event.getEventType().getName().equals(name))
        .sorted(Comparator.comparing(RecordedEvent::getStartTime))
        .toList();
  }
}
