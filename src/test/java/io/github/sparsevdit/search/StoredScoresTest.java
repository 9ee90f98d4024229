package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tables of a finished search's file against those of searches that were run for them. */
class StoredScoresTest {
  private static final Sequence SEQUENCE = Sequence.video(3, 4, 7).withText(5, false);
  private static final int STEPS = 5;

  private static Backend backend;
  @TempDir Path folder;
  private Path file;
  private final SyntheticSource source =
      new SyntheticSource(
          SEQUENCE,
          2,
          16,
          STEPS,
          2,
          24,
          null,
          Collections.nCopies(
              3,
              (key, random, q, k, v) -> {
                SyntheticSource.gaussian(random, q, 1.5);
                SyntheticSource.gaussian(random, k, 1.5);
                SyntheticSource.gaussian(random, v, 1);
              }));

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @BeforeEach
  void name() {
    file = folder.resolve("search.state");
  }

  private static SearchOptions options() {
    return SearchOptions.defaults().withBlock(16).withShare(0.5).withTargetDensity(0.5);
  }

  private DispatchTable searched(SearchOptions options) {
    return new OfflineSearch(backend, options).run(source);
  }

  private DispatchTable stored(UnaryOperator<SearchOptions> change) {
    Findings findings = OfflineSearch.findings(file);
    return findings.with(change.apply(findings.options())).wholeTable();
  }

  @Test
  void withTheSameOptionsTheTableIsTheSearchs() throws IOException {
    Candidates some =
        Candidates.builder()
            .diagonal(List.of(0L, 20L))
            .anchors(List.of(2))
            .stripes(Order.TOKEN_MAJOR, List.of(1, 3))
            .build();
    CostModel cost = new CostModel("measured", 0.3, 0.1, 0.05, 0.9, "some device", 0.02, 0.03);
    for (SearchOptions options :
        List.of(
            options(),
            options().withDenseSteps(1).withMaxError(0.4),
            options().withCandidates(some).withPhaseStarts(List.of(0, 2)),
            options().withCost(cost).withTargetSpeedup(1.3),
            options().withRule(RuleName.PAPER).withTargetDensity(Double.NaN).withEpsilon(0.6))) {
      Files.deleteIfExists(file);
      DispatchTable table = new OfflineSearch(backend, options).checkpoint(file).run(source);
      byte[] before = Files.readAllBytes(file);
      assertEquals(table.toJson(), stored(same -> same).toJson());
      assertEquals(searched(options).toJson(), stored(same -> same).toJson());
      assertArrayEquals(before, Files.readAllBytes(file)); // it is only read
    }
  }

  /** Where all query blocks are scored, nothing that is measured depends on what is asked for. */
  @Test
  void withOtherOptionsTheTableIsThatOfASearchWithThem() {
    SearchOptions options = options().withShare(1);
    DispatchTable first = new OfflineSearch(backend, options).checkpoint(file).run(source);
    CostModel cost = new CostModel("measured", 0.3, 0.1, 0.05, 0.9, "some device", 0.02, 0.03);
    List<UnaryOperator<SearchOptions>> changes =
        List.of(
            o -> o.withTargetDensity(0.3),
            o -> o.withTargetDensity(0.8).withMaxError(0.3),
            o -> o.withTargetSpeedup(2.5),
            o -> o.withTargetDensity(Double.NaN).withLambda(0.2),
            o -> o.withCost(cost).withTargetSpeedup(1.5));
    for (UnaryOperator<SearchOptions> change : changes) {
      DispatchTable table = stored(change);
      assertEquals(searched(change.apply(options)).toJson(), table.toJson());
      assertNotEquals(first.phases(), table.phases());
    }
    DispatchTable dense = stored(o -> o.withDenseSteps(2));
    assertTrue(dense.phases().getFirst().dense());
    assertEquals(first.search().searchSha256(), dense.search().searchSha256());
  }

  @Test
  void twoNetworksAndAPaperSearch() {
    source.secondNetworkFrom = 2;
    SearchOptions options =
        options().withShare(1).withRule(RuleName.PAPER).withTargetDensity(Double.NaN);
    new OfflineSearch(backend, options).checkpoint(file).run(source);
    for (double epsilon : new double[] {0.3, 0.6, 2}) {
      assertEquals(
          searched(options.withEpsilon(epsilon)).toJson(),
          stored(o -> o.withEpsilon(epsilon)).toJson());
    }
    assertEquals(
        searched(options.withLambda(0.1).withTargetDensity(0.7)).toJson(),
        stored(o -> o.withLambda(0.1).withTargetDensity(0.7)).toJson());
  }

  @Test
  void whatNeedsAnotherMeasurementIsRefused() {
    SearchOptions options = options().withDenseSteps(1);
    new OfflineSearch(backend, options).checkpoint(file).run(source);
    refused(
        "rule paper needs another measurement; this one has lagrangian",
        o -> o.withRule(RuleName.PAPER));
    refused("block 32 needs another measurement; this one has 16", o -> o.withBlock(32));
    refused("phases [0, 4]", o -> o.withPhaseStarts(List.of(0, 4)));
    refused(
        "dense steps 0 needs another measurement; this one has 1 to 5", o -> o.withDenseSteps(0));
    refused("dense steps 6", o -> o.withDenseSteps(6));
    refused("share 0.7", o -> o.withShare(0.7));
    refused("seed 9", o -> o.withSeed(9));
    refused("steps per phase 1", o -> o.withStepsPerPhase(1));
    refused("candidates [", o -> o.withCandidates(Candidates.paper(SEQUENCE, 16)));
    refused("density 0.01 cannot be reached", o -> o.withTargetDensity(0.01));
  }

  private void refused(String why, UnaryOperator<SearchOptions> change) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> stored(change));
    assertTrue(e.getMessage().startsWith(why), e.getMessage());
  }

  @Test
  void aSearchThatIsNotFinishedIsRefused() {
    OfflineSearch search = new OfflineSearch(backend, options()).checkpoint(file);
    int[] points = {0};
    search.listener(
        progress -> {
          if (++points[0] == 7) {
            search.cancel();
          }
        });
    assertThrows(CancellationException.class, () -> search.run(source));
    assertTrue(
        refusal().contains("is not finished: it is in stage 1 of 3 (survey), with 7 points"),
        refusal());
  }

  @Test
  void aFileThatIsCutOrForeignIsRefused() throws IOException {
    new OfflineSearch(backend, options()).checkpoint(file).run(source);
    byte[] bytes = Files.readAllBytes(file);
    for (int cut = 0; cut < bytes.length; cut += 1 + bytes.length / 300) {
      Files.write(file, Arrays.copyOf(bytes, cut));
      refusal();
    }
    for (int at = 0; at < bytes.length; at += 1 + bytes.length / 300) {
      byte[] flipped = bytes.clone();
      flipped[at] ^= 16;
      Files.write(file, flipped);
      refusal();
    }
    Files.writeString(file, "{\"format\": \"sparse-vdit/dispatch\", \"version\": 1}");
    assertTrue(refusal().contains("is not a checkpoint of this version's search"), refusal());
    Files.delete(file);
    UncheckedIOException e =
        assertThrows(UncheckedIOException.class, () -> OfflineSearch.findings(file));
    assertTrue(e.getMessage().contains(file.toString()), e.getMessage());
  }

  private String refusal() {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> OfflineSearch.findings(file));
    assertTrue(e.getMessage().contains(file.toString()), e.getMessage());
    return e.getMessage();
  }
}
