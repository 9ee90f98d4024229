package io.github.sparsevdit.table;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What becomes of patterns when a table is adapted to another sequence. */
class TableRescaleTest {
  @Test
  void anotherSequenceNeedsRescaling() {
    DispatchTable table = DispatchTable.parse(DispatchTableTest.GOOD);
    table.requireSequence(table.sequence());
    Sequence other = Sequence.video(12, 8, 8);
    IllegalArgumentException thrown =
        assertThrows(IllegalArgumentException.class, () -> table.requireSequence(other));
    assertTrue(
        thrown.getMessage().contains("6x8x8 + 5 text first, not on 12x8x8"), thrown.getMessage());
    table.rescale(other).requireSequence(other);
    assertSame(table, table.rescale(table.sequence()));
  }

  @Test
  void windowsScaleWithFramesAndPlaces() {
    Sequence from = Sequence.video(4, 8, 8);
    List<HeadEntry> heads =
        List.of(
            new HeadEntry(Pattern.diagonal(96), 0.5, 0.1),
            new HeadEntry(Pattern.multiDiagonal(40)));
    DispatchTable table = oneLayer(from, 64, heads);
    List<Pattern> wide = table.rescale(Sequence.video(4, 16, 8)).patterns(500, 0);
    assertEquals(Pattern.diagonal(192), wide.get(0)); // still 1.5 frames
    assertEquals(Pattern.multiDiagonal(40), wide.get(1)); // still 10 places of 4 frames
    List<Pattern> longer = table.rescale(Sequence.video(8, 8, 8)).patterns(500, 0);
    assertEquals(Pattern.diagonal(96), longer.get(0));
    assertEquals(Pattern.multiDiagonal(80), longer.get(1));
    HeadEntry rescaled =
        table.rescale(Sequence.video(8, 8, 8)).phases().get(0).layers().get(0).get(0);
    assertTrue(Double.isNaN(rescaled.density()) && Double.isNaN(rescaled.error()));
  }

  @Test
  void blocksKeepTheirPlaceAndShare() {
    Sequence from = Sequence.video(4, 8, 8); // 4 blocks of 64: a block is a frame
    List<List<Integer>> lists = List.of(List.of(0), List.of(0, 1), List.of(), List.of(3));
    DispatchTable table =
        oneLayer(
            from,
            64,
            List.of(
                new HeadEntry(Pattern.verticalStripe(2)),
                new HeadEntry(Pattern.diagonal(0, 0, 3)),
                new HeadEntry(Pattern.blocks(Order.FRAME_MAJOR, lists)),
                new HeadEntry(Pattern.verticalStripe()),
                new HeadEntry(Pattern.verticalStripe(Order.TOKEN_MAJOR, 1))));
    List<Pattern> longer =
        table.rescale(Sequence.video(8, 8, 8)).patterns(0, 0); // a frame becomes two
    assertEquals(List.of(4, 5), longer.get(0).blocks());
    assertEquals(List.of(0, 1, 6, 7), longer.get(1).blocks());
    assertEquals(
        List.of(
            List.of(0, 1),
            List.of(0, 1),
            List.of(0, 1, 2, 3),
            List.of(0, 1, 2, 3),
            List.of(),
            List.of(),
            List.of(6, 7),
            List.of(6, 7)),
        longer.get(2).lists());
    assertEquals(List.of(), longer.get(3).blocks());
    // Token-major, block 1 of 4 was rows 2 and 3 of 8; of 8 rows and 8 frames it is blocks 2 and 3
    // of 8.
    assertEquals(List.of(2, 3), longer.get(4).blocks());
    List<Pattern> shorter =
        table.rescale(Sequence.video(2, 8, 8)).patterns(0, 0); // two frames become one
    assertEquals(List.of(1), shorter.get(0).blocks());
    assertEquals(List.of(0), shorter.get(4).blocks());
  }

  @Test
  void anyTableRescalesToAnySequence() {
    long seed = System.nanoTime();
    for (int i = 0; i < 30; i++) {
      Random random = new Random(seed + i);
      DispatchTable table = DispatchTableTest.randomTable(random);
      Sequence to =
          Sequence.video(1 + random.nextInt(9), 1 + random.nextInt(12), 1 + random.nextInt(12));
      DispatchTable rescaled = table.rescale(to); // its constructor checks every block
      assertEquals(to, rescaled.sequence(), "seed " + (seed + i));
      assertEquals(modes(table), modes(rescaled), "seed " + (seed + i));
    }
  }

  private static List<Mode> modes(DispatchTable table) {
    return IntStream.range(0, table.model().layers())
        .boxed()
        .flatMap(layer -> table.patterns(0, layer).stream())
        .map(Pattern::mode)
        .toList();
  }

  private static DispatchTable oneLayer(Sequence sequence, int block, List<HeadEntry> heads) {
    return new DispatchTable(
        new ModelShape("m", 1, heads.size(), 64),
        sequence,
        block,
        null,
        List.of(new Phase(1000, 0, List.of(heads))));
  }
}
