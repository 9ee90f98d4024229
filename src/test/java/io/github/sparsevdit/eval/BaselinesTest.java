package io.github.sparsevdit.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class BaselinesTest {
  private static final ModelShape MODEL = new ModelShape("tiny", 3, 4, 64);
  private static final Sequence SEQUENCE = Sequence.video(4, 8, 8);
  private static final Schedule SCHEDULE = new Schedule(List.of(999.0, 800.0, 600.0, 300.0));
  private static Backend backend;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @Test
  void aWindowIsTheWidestWithinItsDensity() {
    for (Mode mode : List.of(Mode.DIAGONAL, Mode.MULTI_DIAGONAL)) {
      for (int denseSteps : new int[] {0, 1}) {
        for (double density : new double[] {0.35, 0.5, 0.9}) {
          DispatchTable table =
              Baselines.window(backend, MODEL, SEQUENCE, SCHEDULE, 16, mode, density, denseSteps);
          double found = density(table);
          assertTrue(found <= density, found + " > " + density);
          Pattern pattern = table.patterns(300, 2).get(3);
          assertEquals(mode, pattern.mode());
          Pattern wider =
              mode == Mode.DIAGONAL
                  ? Pattern.diagonal(pattern.window() + 16)
                  : Pattern.multiDiagonal(pattern.window() + 16);
          double next = denseSteps / 4.0 + (1 - denseSteps / 4.0) * density(everywhere(wider));
          assertTrue(next > density, next + " is within " + density);
          assertEquals(denseSteps > 0 ? Pattern.full() : pattern, table.patterns(999, 0).get(0));
        }
      }
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> Baselines.window(backend, MODEL, SEQUENCE, SCHEDULE, 16, Mode.DIAGONAL, 0.26, 1));
    assertThrows(
        IllegalArgumentException.class,
        () -> Baselines.window(backend, MODEL, SEQUENCE, SCHEDULE, 16, Mode.SKIP, 0.5, 0));
  }

  @Test
  void shufflingKeepsWhatATableHasAndMovesIt() {
    DispatchTable table = distinct();
    DispatchTable shuffled = Baselines.shuffled(table, 1);
    assertEquals(counts(table), counts(shuffled));
    assertEquals(density(table), density(shuffled), 1e-12);
    assertNotEquals(table.patterns(100, 0), shuffled.patterns(100, 0));
    assertEquals(shuffled.patterns(100, 0), Baselines.shuffled(table, 1).patterns(100, 0));
    assertNotEquals(shuffled.patterns(100, 0), Baselines.shuffled(table, 2).patterns(100, 0));
    assertEquals(table.patterns(999, 0), shuffled.patterns(999, 0)); // the dense phase
  }

  @Test
  void randomBlocksHaveTheDensityAskedFor() {
    for (double density : new double[] {0.125, 0.5, 1}) {
      DispatchTable table = Baselines.random(MODEL, SEQUENCE, 16, density, 3);
      assertEquals(density, density(table), 1e-12);
      List<List<Integer>> lists = table.patterns(500, 1).get(1).lists();
      for (int query = 0; query < lists.size(); query++) {
        assertTrue(lists.get(query).contains(query));
      }
    }
  }

  private static Map<List<Object>, Integer> counts(DispatchTable table) {
    Map<List<Object>, Integer> counts = new HashMap<>();
    for (Phase phase : table.phases()) {
      for (List<HeadEntry> layer : phase.layers()) {
        for (HeadEntry entry : layer) {
          counts.merge(List.of(phase.from(), entry.pattern()), 1, Integer::sum);
        }
      }
    }
    return counts;
  }

  private static DispatchTable distinct() {
    List<List<HeadEntry>> layers = new ArrayList<>();
    for (int layer = 0; layer < MODEL.layers(); layer++) {
      List<HeadEntry> heads = new ArrayList<>();
      for (int head = 0; head < MODEL.heads(); head++) {
        heads.add(new HeadEntry(Pattern.verticalStripe(layer * MODEL.heads() + head), 0.0625, 0.1));
      }
      layers.add(heads);
    }
    return new DispatchTable(
        MODEL, SEQUENCE, 16, null, List.of(Phase.full(1000, 900), new Phase(900, 0, layers)));
  }

  private static Policy everywhere(Pattern pattern) {
    List<List<HeadEntry>> layers =
        java.util.Collections.nCopies(
            MODEL.layers(), java.util.Collections.nCopies(MODEL.heads(), new HeadEntry(pattern)));
    return new DispatchTable(MODEL, SEQUENCE, 16, null, List.of(new Phase(1000, 0, layers)));
  }

  private static double density(Policy policy) {
    try (SparseAttention attention = SparseAttention.of(backend, policy, SEQUENCE, SCHEDULE)) {
      return attention.density();
    }
  }
}
