package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Another table from the scores of a model of HunyuanVideo's size, made up here. */
class StoredScoresSpeedTest {
  private static final int LAYERS = 60;
  private static final int HEADS = 24;
  private static final Sequence SEQUENCE = Sequence.video(33, 45, 80).withText(256, false);
  private static final int BLOCK = 128;
  private static final double MOST_SECONDS = 10; // generous: two busy cores took 5

  /** 2 + 2 · 12 · 3 + 2 · 13: 100 in all. */
  private static final Candidates CANDIDATES = candidates();

  private static Candidates candidates() {
    List<Long> windows =
        LongStream.of(0, 1, 2, 4, 8, 16, 32, 64, 128, 250, 400, 600)
            .map(w -> w * BLOCK)
            .boxed()
            .toList();
    List<Integer> stripes = List.of(1, 2, 4, 8, 16, 30, 60, 100, 180, 300, 450, 600, 800);
    return Candidates.builder()
        .diagonal(windows)
        .multiDiagonal(windows)
        .anchors(List.of(58, 154))
        .stripes(Order.FRAME_MAJOR, stripes)
        .stripes(Order.TOKEN_MAJOR, stripes)
        .build();
  }

  @Test
  void anotherDensityTakesSeconds(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("search.state");
    Path out = folder.resolve("table.json");
    SearchOptions options =
        SearchOptions.defaults()
            .withBlock(BLOCK)
            .withCandidates(CANDIDATES)
            .withRefine(false)
            .withTargetDensity(0.4);
    SearchSetup setup =
        new SearchSetup(
            new SyntheticSource(
                SEQUENCE, LAYERS, 128, 50, 4, 0, null, Collections.nCopies(HEADS, null)),
            options,
            "made up");
    SearchState state = madeUp(setup);
    try (SearchLog log = SearchLog.open(file, setup.describe(), setup.nothingYet())) {
      for (int stage = 0; stage < SearchStage.values().length; stage++) {
        state.endStage();
        log.endStage(state);
      }
      log.finish(state);
    }
    long size = Files.size(file);
    long begin = System.nanoTime();
    Findings findings = OfflineSearch.findings(file);
    double read = seconds(begin);
    DispatchTable table = findings.with(findings.options().withTargetDensity(0.25)).wholeTable();
    table.write(out);
    double all = seconds(begin);
    findings.front();
    double front = seconds(begin) - all;
    System.out.printf(
        Locale.ROOT,
        "another density of %d layers, %d heads, %d phases, %d candidates: %.2f s, of which %.2f s read %d MB; the table has %d KB; the front takes %.2f s more%n",
        LAYERS,
        HEADS,
        state.phases,
        state.candidates,
        all,
        read,
        size >> 20,
        Files.size(out) >> 10,
        front);
    assertEquals(5, state.phases);
    assertEquals(100, state.candidates);
    double density = density(table);
    assertTrue(density <= 0.25 && density > 0.24, "density " + density);
    assertTrue(all < MOST_SECONDS, all + " s");
  }

  /** Of the whole run, by what the table says of its heads, weighted by steps. */
  private static double density(DispatchTable table) {
    double sum = 0;
    for (int step = 0; step < 50; step++) {
      int phase = table.phase(1000.0 * (50 - step) / 50 - 1);
      sum +=
          table.phases().get(phase).dense()
              ? 1
              : table.phases().get(phase).layers().stream()
                  .flatMap(List::stream)
                  .mapToDouble(DispatchTable.HeadEntry::density)
                  .average()
                  .orElseThrow();
    }
    return sum / 50;
  }

  private static double seconds(long begin) {
    return (System.nanoTime() - begin) * 1e-9;
  }

  /** Errors that fall with density, each head in its own way, and mass that lies anywhere. */
  private static SearchState madeUp(SearchSetup setup) {
    SearchState state = setup.nothingYet();
    PatternDensity densities = new PatternDensity(SEQUENCE, BLOCK);
    int[] first = IntStream.range(0, state.blocks).toArray();
    double[] density = CANDIDATES.all().stream().mapToDouble(c -> densities.of(c, first)).toArray();
    int heads = state.undecided.length;
    IntStream.range(0, heads)
        .parallel()
        .forEach(
            head -> {
              Random random = new Random(head);
              double[] liking = random.doubles(8, -3, 0).toArray(); // of modes
              for (int i = 0; i < state.candidates; i++) {
                int cell = head * state.candidates + i;
                double error =
                    Math.pow(10, liking[CANDIDATES.all().get(i).mode().ordinal()])
                        * (1 - density[i])
                        * (1 + 0.1 * random.nextDouble());
                state.count[cell] = 16;
                state.sum[cell] = 16 * error;
                state.sumOfSquares[cell] = 17 * error * error;
              }
              for (int part = 0; part < SearchState.ORDERS * SearchState.HALVES; part++) {
                for (int block = 0; block < state.blocks; block++) {
                  state.mass[(part * heads + head) * state.blocks + block] =
                      (float) random.nextDouble();
                }
              }
            });
    return state;
  }
}
