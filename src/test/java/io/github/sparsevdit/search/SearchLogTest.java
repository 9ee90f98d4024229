package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SearchLogTest {
  private static final SearchLog.Search SEARCH =
      new SearchLog.Search("a search", CostModel.SPARSITY, new byte[] {1, 2, 3});
  private static final int HEADS = 2;
  private static final int CANDIDATES = 3;
  private static final int BLOCKS = 4;

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void name() {
    file = folder.resolve("search.state");
  }

  @Test
  void aCheckpointWritesTheSameHoweverMuchIsThere() throws IOException {
    List<Long> small = written(state(2));
    List<Long> large = written(state(200));
    assertEquals(small, large); // of a state a hundred times as large
    assertEquals(1, small.stream().distinct().count(), small::toString);
  }

  /** Bytes that each of some checkpoints of one point adds. */
  private List<Long> written(SearchState state) throws IOException {
    Files.deleteIfExists(file);
    List<Long> written = new ArrayList<>();
    try (SearchLog log = open(state)) {
      for (int point = 0; point < 4; point++) {
        long before = Files.size(file);
        add(log, state, point);
        log.flush(state);
        written.add(Files.size(file) - before);
      }
    }
    return written;
  }

  /** Whatever a crash leaves of the last frame, what comes before it is read, and gone on from. */
  @Test
  void aFileCutAnywhereHoldsItsWholeFrames() throws IOException {
    List<byte[]> states = new ArrayList<>();
    List<Integer> ends = new ArrayList<>();
    byte[] bytes = recorded(states, ends);
    for (int cut = 0; cut <= bytes.length; cut++) {
      for (int zeros : new int[] {0, 40}) { // a file may have grown before its content got there
        leave(Arrays.copyOf(Arrays.copyOf(bytes, cut), cut + zeros));
        SearchState read = state(2);
        if (cut < ends.get(0)) {
          IllegalArgumentException e =
              assertThrows(IllegalArgumentException.class, () -> open(read), "cut to " + cut);
          assertTrue(e.getMessage().contains(file.toString()), e.getMessage());
          continue;
        }
        int frames = 0;
        while (frames + 1 < ends.size() && ends.get(frames + 1) <= cut) {
          frames++;
        }
        if (zeros > 0 && cut > ends.get(frames)) {
          continue; // a head half there: refused, or whole again where its zeros were cut off
        }
        try (SearchLog log = open(read)) {
          assertArrayEquals(states.get(frames), bytes(read), "cut to " + cut);
          assertEquals((int) ends.get(frames), Files.size(file), "cut to " + cut);
          add(log, read, 77);
          log.flush(read);
        }
        SearchState again = state(2);
        open(again).close();
        assertArrayEquals(bytes(read), bytes(again), "cut to " + cut);
      }
    }
  }

  @Test
  void aFlippedBitIsRefusedByName() throws IOException {
    List<byte[]> states = new ArrayList<>();
    List<Integer> ends = new ArrayList<>();
    byte[] bytes = recorded(states, ends);
    int last = ends.get(ends.size() - 2);
    for (int at = 0; at < bytes.length; at++) {
      for (int bit = 0; bit < 8; bit += 7) {
        byte[] flipped = bytes.clone();
        flipped[at] ^= (byte) (1 << bit);
        leave(flipped);
        SearchState read = state(2);
        if (at < last + 12) { // the head of the last frame says whether it is whole
          IllegalArgumentException e =
              assertThrows(IllegalArgumentException.class, () -> open(read), "byte " + at);
          assertTrue(e.getMessage().contains(file.toString()), e.getMessage());
        } else { // as a crash may leave it
          open(read).close();
          assertArrayEquals(states.get(states.size() - 2), bytes(read), "byte " + at);
        }
      }
    }
    byte[] flipped = bytes.clone();
    flipped[ends.get(1) + 30] ^= 1;
    Files.write(file, flipped);
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> open(state(2)));
    assertEquals(
        "the checkpoint %s is damaged at byte %d; cut it to %2$d bytes to go on from what comes before, or delete it to begin anew"
            .formatted(file, ends.get(1)),
        e.getMessage());
    Files.write(file, Arrays.copyOf(flipped, ends.get(1))); // as it says
    SearchState read = state(2);
    open(read).close();
    assertArrayEquals(states.get(1), bytes(read));
  }

  @Test
  void aLongLogIsFolded() throws IOException {
    SearchState state = state(2);
    long most = 0;
    long folded = 0;
    try (SearchLog log = open(state)) {
      long before = 0;
      for (int point = 0; point < 200; point++) {
        add(log, state, point);
        log.flush(state);
        long size = Files.size(file);
        folded += size < before ? 1 : 0;
        most = Math.max(most, size);
        before = size;
      }
      assertTrue(folded >= 2, folded + " times");
      assertTrue(most < 8 * state.bytes() + 20_000, most + " bytes"); // 200 names and norms, too
      SearchState read = state(2);
      open(read).close();
      assertArrayEquals(bytes(state), bytes(read));

      log.finish(state);
      assertTrue(Files.size(file) < state.bytes() + 20_000);
    }
    SearchState read = state(2);
    open(read).close();
    assertArrayEquals(bytes(state), bytes(read));
  }

  /** It is written in the background: what goes wrong there is told by the next that writes. */
  @Test
  void whatFailsInTheBackgroundIsTold() throws IOException {
    SearchState state = state(2);
    try (SearchLog log = open(state)) {
      Files.delete(file);
      Files.createDirectory(file);
      add(log, state, 0);
      log.checkpoint(state);
      add(log, state, 1);
      for (int i = 0; i < 2; i++) { // and by all after: a log with a hole is worth nothing
        UncheckedIOException e =
            assertThrows(UncheckedIOException.class, () -> log.checkpoint(state));
        assertTrue(
            e.getMessage().contains("cannot write the search's checkpoint " + file),
            e.getMessage());
        assertTrue(e.getMessage().contains("Is a directory"), e.getMessage());
      }
    }
    Files.delete(file);
    SearchState other = state(2);
    try (SearchLog log = open(other);
        SearchLog beside = open(state(2))) {
      add(beside, state(2), 0);
      beside.flush(state(2));
      add(log, other, 0);
      UncheckedIOException e = assertThrows(UncheckedIOException.class, () -> log.flush(other));
      assertTrue(e.getMessage().contains("does another search write it?"), e.getMessage());
    }
    Path inFile = Files.createFile(folder.resolve("a file")).resolve("search.state");
    UncheckedIOException e =
        assertThrows(UncheckedIOException.class, () -> SearchLog.open(inFile, SEARCH, state(2)));
    assertTrue(e.getMessage().contains(inFile.toString()), e.getMessage());
  }

  @Test
  void anInterruptedThreadStillKeepsWhatItHas() throws IOException {
    SearchState state = state(2);
    try (SearchLog log = open(state)) {
      add(log, state, 0);
      Thread.currentThread().interrupt();
      log.flush(state);
      assertTrue(Thread.interrupted());
    }
    SearchState read = state(2);
    open(read).close();
    assertArrayEquals(bytes(state), bytes(read));
  }

  /**
   * A file with every kind of record.
   *
   * @param states of the file's beginning and after each frame of the log
   * @param ends where these end
   */
  private byte[] recorded(List<byte[]> states, List<Integer> ends) throws IOException {
    SearchState state = state(2);
    try (SearchLog log = open(state)) {
      add(log, state, 0);
      state.endStage();
      state.undecided[1] = true;
      log.endStage(state);
      log.finish(state); // a snapshot
      states.add(bytes(state));
      ends.add(Math.toIntExact(Files.size(file)));
      for (int point = 1; point < 4; point++) {
        add(log, state, point);
        if (point == 2) {
          add(log, state, 7); // two in a frame
          state.undecided[0] = true;
          state.endStage();
          log.endStage(state);
        }
        log.flush(state);
        states.add(bytes(state));
        ends.add(Math.toIntExact(Files.size(file)));
      }
    }
    byte[] bytes = Files.readAllBytes(file);
    assertEquals(4, ends.stream().distinct().count());
    assertEquals( // the frame's head says its length
        ends.get(2) - ends.get(1) - 16, ByteBuffer.wrap(bytes).getLong(ends.get(1)));
    return bytes;
  }

  /** In a new file: ext4 waits for the disk where one is cut and written again. */
  private void leave(byte[] bytes) throws IOException {
    Files.delete(file);
    Files.write(file, bytes);
  }

  private SearchLog open(SearchState state) {
    return SearchLog.open(file, SEARCH, state);
  }

  private static SearchState state(int layers) {
    return new SearchState(1, layers, HEADS, CANDIDATES, BLOCKS);
  }

  /** Adds a point's made-up findings to both. */
  private static void add(SearchLog log, SearchState state, int point) {
    Key key = new Key(point, 0, point % 2, 0);
    PointFindings found =
        state.stage == 0
            ? PointFindings.surveyed(key, 0, point & 1, state)
            : PointFindings.scored(key, 0, point & 1);
    Random random = new Random(point);
    for (int head = 0; head < HEADS; head++) {
      for (int candidate = 1; candidate < CANDIDATES; candidate++) {
        found.scores.add(new PointFindings.Score(head, candidate, random.nextDouble()));
      }
    }
    for (int order = 0; found.norms != null && order < SearchState.ORDERS; order++) {
      found.norms[order] = random.nextDouble();
      Arrays.setAll(found.mass[order], i -> random.nextDouble());
    }
    state.add(found);
    log.add(found);
  }

  private static byte[] bytes(SearchState state) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    state.write(new DataOutputStream(bytes));
    return bytes.toByteArray();
  }
}
