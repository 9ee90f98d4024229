package io.github.sparsevdit.search.capture;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource.QueryBlocks;
import io.github.sparsevdit.search.sweep.SampledQueryBlocks;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CapturedPartTest {
  private static final Sequence SEQUENCE = Sequence.video(3, 4, 5).withText(2, true);
  private static final ModelShape MODEL = new ModelShape("m", 2, 4, 8);

  /**
   * By the definition of the orders: token-major place p is the (p mod T)-th frame's place p / T.
   */
  @Test
  void rowsOfABlockInBothOrders() {
    CapturedPart part = new CapturedPart(List.of(), new QueryBlocks(16, List.of(1, 3)));
    TreeSet<Integer> expected = new TreeSet<>(List.of(0, 1)); // text comes first
    for (int t = 0; t < 3; t++) {
      for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 5; x++) {
          int frameMajor = (t * 4 + y) * 5 + x;
          int tokenMajor = (y * 5 + x) * 3 + t;
          for (int place : new int[] {frameMajor, tokenMajor}) {
            if (place / 16 == 1 || place / 16 == 3) {
              expected.add(2 + frameMajor);
            }
          }
        }
      }
    }
    int[] rows = part.rows(SEQUENCE);
    assertArrayEquals(expected.stream().mapToInt(Integer::intValue).toArray(), rows);

    try (Arena arena = Arena.ofConfined()) {
      Tensor all = numbers(arena, 1, 2, 62, 3);
      Tensor stored = numbers(arena, 1, 2, rows.length, 3);
      for (int i = 0; i < rows.length; i++) {
        stored.slice(2, i, i + 1).copyFrom(all.slice(2, rows[i], rows[i] + 1L));
      }
      Tensor spread = part.spread(stored, SEQUENCE, arena);
      for (int token = 0; token < 62; token++) {
        float[] row = spread.slice(2, token, token + 1).toFloats();
        assertArrayEquals(
            expected.contains(token)
                ? all.slice(2, token, token + 1).toFloats()
                : new float[row.length],
            row);
      }
    }
  }

  @Test
  void projectionColumnsOfSomeHeads() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor whole = numbers(arena, 3, 32);
      Tensor some = new CapturedPart(List.of(1, 3), null).columns(whole, 8, arena);
      for (int row = 0; row < 3; row++) {
        float[] all = whole.slice(0, row, row + 1).toFloats();
        float[] kept = some.slice(0, row, row + 1).toFloats();
        assertArrayEquals(Arrays.copyOfRange(all, 8, 16), Arrays.copyOfRange(kept, 0, 8));
        assertArrayEquals(Arrays.copyOfRange(all, 24, 32), Arrays.copyOfRange(kept, 8, 16));
      }
      assertSame(whole, CapturedPart.WHOLE.columns(whole, 8, arena));
    }
  }

  @Test
  void headsThatWereNotCapturedGetFullAttention() {
    CapturedPart part = new CapturedPart(List.of(1, 3), null);
    HeadEntry skip = new HeadEntry(Pattern.skip());
    HeadEntry near = new HeadEntry(Pattern.diagonal(16));
    DispatchTable some =
        new DispatchTable(
            part.of(MODEL),
            SEQUENCE,
            16,
            null,
            List.of(
                Phase.full(1000, 500),
                new Phase(500, 0, List.of(List.of(skip, near), List.of(near, skip)))));
    DispatchTable all = some.spread(MODEL, part.heads());
    assertTrue(all.model().matches(MODEL));
    assertTrue(all.phases().get(0).dense());
    assertEquals(
        List.of(Pattern.full(), Pattern.skip(), Pattern.full(), Pattern.diagonal(16)),
        all.patterns(400, 0));
    assertSame(some, some.spread(MODEL, CapturedPart.WHOLE.heads()));
  }

  @Test
  void onlyBlocksThatAreThereAreDrawn() {
    int[] there = {1, 4, 9, 20, 33, 40};
    Sequence sequence = Sequence.video(50, 4, 4).withText(20, false);
    for (int round = 0; round < 2; round++) {
      SampledQueryBlocks drawn = SampledQueryBlocks.draw(sequence, 16, there, 0.08, 7, round);
      assertEquals(4 + 1, drawn.blocks().length); // of 50 video blocks and 2 of text
      double weight = 0;
      for (int i = 0; i < drawn.blocks().length; i++) {
        int block = drawn.blocks()[i];
        assertTrue(block >= 50 || Arrays.binarySearch(there, block) >= 0, block + " drawn");
        weight += drawn.weights()[i];
      }
      assertEquals(52, weight, 1e-9); // they stand for all blocks
    }
    assertEquals(6 + 2, SampledQueryBlocks.draw(sequence, 16, there, 1, 7, 0).blocks().length);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"heads\": [1, 4]}|capture.json: heads is [1,4]; expected ascending numbers below 4",
        "{\"heads\": [2, 1]}|ascending",
        "{\"heads\": []}|at least one",
        "{\"queries\": {\"blocks\": [0]}}|queries.block is missing",
        "{\"queries\": {\"block\": 16}}|queries.blocks is missing",
        "{\"queries\": {\"block\": 16, \"blocks\": [4]}}|below 4"
      })
  void whatDoesNotFitIsNamed(String json, String expected) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> CapturedPart.read(Json.parse("capture.json", json), MODEL, SEQUENCE));
    assertTrue(e.getMessage().contains(expected), e::getMessage);
  }

  private static Tensor numbers(Arena arena, long... shape) {
    int elements = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    float[] values = new float[elements];
    for (int i = 0; i < elements; i++) {
      values[i] = 1 + i;
    }
    return Tensor.of(arena.allocate(4L * elements, 64), ElementType.FP32, shape).copyFrom(values);
  }
}
