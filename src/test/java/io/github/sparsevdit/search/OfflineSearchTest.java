package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.NotFiniteException;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.SyntheticSource.Head;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.table.DispatchTable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OfflineSearchTest {
  private static final int BLOCK = 16;
  private static final int HEAD_DIM = 16;
  private static final Head RANDOM =
      (key, random, q, k, v) -> {
        SyntheticSource.gaussian(random, q, 1.5);
        SyntheticSource.gaussian(random, k, 1.5);
        SyntheticSource.gaussian(random, v, 1);
      };

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
  void agreesWithBruteForce() {
    Sequence last = Sequence.video(3, 4, 7).withText(20, false);
    agrees(last, 24, new int[] {20, 9}, RuleName.LAGRANGIAN);
    agrees(Sequence.video(3, 5, 6).withText(7, true), 0, null, RuleName.LAGRANGIAN);
    agrees(Sequence.video(2, 6, 7), 24, null, RuleName.PAPER);
  }

  /** The same layer of another network has a projection of its own. */
  @Test
  void twoNetworksAgreeWithBruteForce() {
    SyntheticSource source =
        new SyntheticSource(
            Sequence.video(3, 4, 7), 2, HEAD_DIM, 4, 2, 24, null, Collections.nCopies(3, RANDOM));
    source.secondNetworkFrom = 1; // where the second phase begins, too
    agrees(source, RuleName.LAGRANGIAN);
  }

  private static void agrees(Sequence sequence, int outputs, int[] textValid, RuleName rule) {
    SyntheticSource source =
        new SyntheticSource(
            sequence, 2, HEAD_DIM, 4, 2, outputs, textValid, Collections.nCopies(3, RANDOM));
    agrees(source, rule);
  }

  private static void agrees(SyntheticSource source, RuleName rule) {
    Candidates candidates =
        Candidates.builder()
            .diagonal(List.of(0L, 16L, 33L))
            .multiDiagonal(List.of(0L, 20L))
            .anchors(List.of(1, 2))
            .stripes(Order.FRAME_MAJOR, List.of(1, 3))
            .stripes(Order.TOKEN_MAJOR, List.of(2))
            .build();
    SearchOptions options =
        options(candidates).withRule(rule).withLambda(0.2).withPhaseStarts(List.of(0, 1));
    Findings findings = new OfflineSearch(backend, options).measure(source);
    Map<Key, double[][]> expected = errors(source, candidates.all(), rule == RuleName.PAPER);
    for (int phase = 0; phase < 2; phase++) {
      for (int layer = 0; layer < 2; layer++) {
        double[][] means = new double[3][candidates.all().size()];
        for (int head = 0; head < 3; head++) {
          for (int i = 0; i < candidates.all().size(); i++) {
            List<Double> scores = new ArrayList<>();
            for (Key key : source.keys()) {
              if (key.layer() == layer && Math.min(key.step(), 1) == phase) {
                scores.add(expected.get(key)[head][i]);
              }
            }
            double mean = scores.stream().mapToDouble(x -> x).average().orElseThrow();
            double squares = scores.stream().mapToDouble(x -> (x - mean) * (x - mean)).sum();
            int n = scores.size();
            String where =
                "phase %d layer %d head %d %s"
                    .formatted(phase, layer, head, candidates.all().get(i));
            assertEquals(mean, findings.error(phase, layer, head, i), 1e-6 + 1e-4 * mean, where);
            assertEquals(
                i == 0 ? 0 : Math.sqrt(squares / n / (n - 1)),
                findings.standardError(phase, layer, head, i),
                1e-6 + 1e-3 * mean,
                where);
            means[head][i] = mean;
          }
        }
        int[] chosen = findings.select().chosen()[phase][layer];
        for (int head = 0; head < 3; head++) {
          double best = loss(rule, means[head], findings, phase, layer, head, chosen[head]);
          for (int i = 0; i < candidates.all().size(); i++) {
            assertTrue(best <= loss(rule, means[head], findings, phase, layer, head, i) + 1e-5);
          }
        }
      }
    }
  }

  private static double loss(
      RuleName rule, double[] error, Findings findings, int phase, int layer, int head, int i) {
    return rule == RuleName.PAPER && i == 0
        ? 1 // ε
        : error[i] + 0.2 * findings.density(phase, layer, head, i);
  }

  /**
   * Every candidate's error at every point, anchors and stripes chosen on the other half of the
   * samples.
   */
  private static Map<Key, double[][]> errors(
      SyntheticSource source, List<Candidate> candidates, boolean raw) {
    BruteForce brute = new BruteForce(source.sequence(), BLOCK, HEAD_DIM);
    Map<List<Object>, double[]> mass = new HashMap<>();
    for (Key key : source.keys()) {
      float[][][][] qkv = source.values(key);
      for (int b = 0; b < source.batch(); b++) {
        for (int head = 0; head < source.heads.size(); head++) {
          double[][] weights =
              brute.weights(Pattern.full(), qkv[0][b][head], qkv[1][b][head], valid(source, b));
          for (Order order : List.of(Order.FRAME_MAJOR, Order.TOKEN_MAJOR)) {
            double[] sums =
                mass.computeIfAbsent(
                    place(key, order, key.sample() & 1, head),
                    k -> new double[source.sequence().videoBlocks(BLOCK)]);
            int[] blocks = brute.blocks(order);
            for (double[] row : weights) {
              for (int j = 0; j < row.length; j++) {
                if (blocks[j] >= 0) {
                  sums[blocks[j]] += row[j];
                }
              }
            }
          }
        }
      }
    }
    Map<Key, double[][]> errors = new HashMap<>();
    for (Key key : source.keys()) {
      float[][][][] qkv = source.values(key);
      int heads = source.heads.size();
      double[][] error = new double[heads][candidates.size()];
      double denominator = 0;
      for (int b = 0; b < source.batch(); b++) {
        int valid = valid(source, b);
        double[][][] dense = new double[heads][][];
        for (int head = 0; head < heads; head++) {
          float[] q = qkv[0][b][head];
          float[] k = qkv[1][b][head];
          float[] v = qkv[2][b][head];
          dense[head] = brute.attend(brute.weights(Pattern.full(), q, k, valid), v);
          for (int i = 0; i < candidates.size(); i++) {
            Candidate candidate = candidates.get(i);
            int[] ranked =
                ranked(mass.get(place(key, candidate.order(), 1 - (key.sample() & 1), head)));
            double[][] out = brute.attend(brute.weights(candidate.pattern(ranked), q, k, valid), v);
            double[][][] difference = new double[heads][out.length][HEAD_DIM];
            for (int row = 0; row < out.length; row++) {
              for (int d = 0; d < HEAD_DIM; d++) {
                difference[head][row][d] = out[row][d] - dense[head][row][d];
              }
            }
            error[head][i] += raw ? squares(difference) : projected(source, key, difference);
          }
        }
        denominator += raw ? (double) dense[0].length * HEAD_DIM : projected(source, key, dense);
      }
      for (double[] head : error) {
        for (int i = 0; i < head.length; i++) {
          head[i] /= denominator;
        }
      }
      errors.put(key, error);
    }
    return errors;
  }

  private static List<Object> place(Key key, Order order, int half, int head) {
    return List.of(order, half, Math.min(key.step(), 1), key.layer(), head);
  }

  private static int valid(SyntheticSource source, int batchRow) {
    return source.textValid == null ? source.sequence().text() : source.textValid[batchRow];
  }

  private static int[] ranked(double[] mass) {
    return java.util.stream.IntStream.range(0, mass.length)
        .boxed()
        .sorted((a, b) -> Double.compare(mass[b], mass[a]))
        .mapToInt(i -> i)
        .toArray();
  }

  /** ‖Σ_h x_h W_O,h‖² by multiplying out; Σ_h ‖x_h‖² without W_O. */
  private static double projected(SyntheticSource source, Key key, double[][][] heads) {
    if (source.outputs == 0) {
      return squares(heads);
    }
    float[] weight = source.projection(key);
    int width = heads.length * HEAD_DIM;
    double sum = 0;
    for (int row = 0; row < heads[0].length; row++) {
      for (int o = 0; o < source.outputs; o++) {
        double y = 0;
        for (int i = 0; i < width; i++) {
          y += heads[i / HEAD_DIM][row][i % HEAD_DIM] * weight[o * width + i];
        }
        sum += y * y;
      }
    }
    return sum;
  }

  private static double squares(double[][][] heads) {
    double sum = 0;
    for (double[][] head : heads) {
      for (double[] row : head) {
        for (double x : row) {
          sum += x * x;
        }
      }
    }
    return sum;
  }

  @Test
  void plantedHeadsAreFound() {
    Sequence sequence = Sequence.video(8, 8, 8);
    int dim = 32;
    SyntheticSource source =
        new SyntheticSource(sequence, 1, dim, 2, 2, 0, null, PlantedHeads.all(sequence, dim));
    Findings findings =
        new OfflineSearch(backend, options(Candidates.standard(sequence, BLOCK)).withLambda(0.02))
            .measure(source);
    DispatchTable table = findings.table();
    for (DispatchTable.Phase phase : table.phases()) {
      List<Mode> modes =
          phase.layers().get(0).stream().map(entry -> entry.pattern().mode()).toList();
      assertEquals(PlantedHeads.MODES, modes);
      Pattern stripe = phase.layers().get(0).get(PlantedHeads.STRIPE).pattern();
      assertEquals(List.of(PlantedHeads.STRIPE_TOKEN / BLOCK), stripe.blocks());
    }
  }

  @Test
  void aSampleOfQueryBlocksFindsThemToo() {
    Sequence sequence = Sequence.video(8, 8, 8);
    SyntheticSource source =
        new SyntheticSource(sequence, 1, 32, 4, 2, 0, null, PlantedHeads.all(sequence, 32));
    SearchOptions options =
        options(Candidates.standard(sequence, BLOCK))
            .withLambda(0.02)
            .withShare(0.25)
            .withRefine(true)
            .withPhaseStarts(List.of(0));
    DispatchTable table = new OfflineSearch(backend, options).run(source);
    assertEquals(
        PlantedHeads.MODES,
        table.phases().get(0).layers().get(0).stream().map(e -> e.pattern().mode()).toList());
  }

  @Test
  void aResumedSearchGivesTheSameBits(@TempDir Path folder) throws Exception {
    Sequence sequence = Sequence.video(3, 4, 7).withText(5, false);
    SyntheticSource source =
        new SyntheticSource(sequence, 2, HEAD_DIM, 3, 2, 24, null, Collections.nCopies(3, RANDOM));
    SearchOptions options =
        options(Candidates.standard(sequence, BLOCK)).withShare(0.4).withRefine(true);
    DispatchTable whole = new OfflineSearch(backend, options).run(source);
    Path checkpoint = folder.resolve("search.checkpoint");
    int interruptions = 0;
    DispatchTable resumed = null;
    while (resumed == null) {
      OfflineSearch search =
          new OfflineSearch(backend, options)
              .checkpoint(checkpoint)
              .checkpointEvery(Duration.ofDays(1));
      int[] left = {5};
      search.listener(
          progress -> {
            assertTrue(progress.fraction() >= 0 && progress.fraction() <= 1);
            if (--left[0] == 0) {
              search.cancel();
            }
          });
      try {
        resumed = search.run(source);
      } catch (CancellationException e) {
        interruptions++;
      }
    }
    assertTrue(
        interruptions >= 9, interruptions + " interruptions"); // 24 points, two stages and some
    assertEquals(whole.toJson(), resumed.toJson());
    int visits = source.visits;
    assertEquals(
        whole.toJson(),
        new OfflineSearch(backend, options).checkpoint(checkpoint).run(source).toJson());
    assertEquals(visits, source.visits, "a finished search needs no more points");

    OfflineSearch other = new OfflineSearch(backend, options.withSeed(2)).checkpoint(checkpoint);
    assertThrows(IllegalArgumentException.class, () -> other.run(source));
    if (!backend.arithmetic().equals("CPU portable")) {
      // Half its scores would be of one arithmetic and half of the other.
      try (Backend portable = Backend.cpu(new CpuOptions(1, CpuOptions.Tier.PORTABLE))) {
        OfflineSearch elsewhere = new OfflineSearch(portable, options).checkpoint(checkpoint);
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, () -> elsewhere.run(source));
        assertTrue(e.getMessage().contains("backend or tier differ"), e::getMessage);
      }
    }
    byte[] bytes = Files.readAllBytes(checkpoint);
    for (int length : new int[] {0, 7, 40, bytes.length / 2, bytes.length - 1}) {
      Files.write(checkpoint, Arrays.copyOf(bytes, length));
      OfflineSearch cut = new OfflineSearch(backend, options).checkpoint(checkpoint);
      assertThrows(IllegalArgumentException.class, () -> cut.run(source), "cut to " + length);
    }
  }

  /** A checkpoint is the same to write at a search's beginning and at its end. */
  @Test
  void aCheckpointWritesOnlyWhatIsNew(@TempDir Path folder) throws Exception {
    Sequence sequence = Sequence.video(3, 4, 7).withText(5, false);
    SyntheticSource source =
        new SyntheticSource(sequence, 8, HEAD_DIM, 4, 1, 24, null, Collections.nCopies(2, RANDOM));
    SearchOptions options = options(null).withPhaseStarts(List.of(0, 1, 2, 3));
    Path checkpoint = folder.resolve("search.checkpoint");
    List<Long> written = new ArrayList<>();
    Object[] was = {null, 0L};
    new OfflineSearch(backend, options)
        .checkpoint(checkpoint)
        .checkpointEvery(Duration.ZERO)
        .listener(
            progress -> {
              try {
                // A file replaced is one written whole.
                Object is = Files.readAttributes(checkpoint, BasicFileAttributes.class).fileKey();
                long size = Files.size(checkpoint);
                written.add(is.equals(was[0]) ? size - (long) was[1] : size);
                was[0] = is;
                was[1] = size;
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            })
        .run(source);
    assertEquals(2 * 64, written.size()); // in two stages
    long whole = Files.size(checkpoint);
    long most = written.stream().skip(1).mapToLong(x -> x).max().orElseThrow();
    assertTrue(most < whole / 10, "%d bytes of %d at one checkpoint".formatted(most, whole));
    long sum = written.stream().mapToLong(x -> x).sum();
    assertTrue(sum > whole / 2, sum + " bytes in all: the points are there before the end");
  }

  /** Where a process was killed while it wrote, the search goes on from what is whole. */
  @Test
  void aSearchKilledAtAnyByteGivesTheSameBits(@TempDir Path folder) throws Exception {
    SyntheticSource source =
        new SyntheticSource(
            Sequence.video(2, 3, 6), 2, HEAD_DIM, 2, 1, 24, null, Collections.nCopies(2, RANDOM));
    SearchOptions options =
        options(null).withShare(0.6).withRefine(true).withPhaseStarts(List.of(0, 1));
    String whole = new OfflineSearch(backend, options).run(source).toJson();
    Path checkpoint = folder.resolve("search.checkpoint");
    OfflineSearch killed =
        new OfflineSearch(backend, options).checkpoint(checkpoint).checkpointEvery(Duration.ZERO);
    int[] points = {0};
    byte[][] first = {null};
    killed.listener(
        progress -> {
          try {
            first[0] = first[0] == null ? Files.readAllBytes(checkpoint) : first[0];
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
          if (++points[0] == 11) { // of 8 a stage
            killed.cancel();
          }
        });
    int all = points(source, options);
    assertThrows(CancellationException.class, () -> killed.run(source));
    byte[] bytes = Files.readAllBytes(checkpoint);
    int log = first[0].length; // after the first point
    assertArrayEquals(first[0], Arrays.copyOf(bytes, log), "appended to, not written anew");
    int left = Integer.MAX_VALUE;
    for (int cut = bytes.length; cut > log; cut -= 1 + bytes.length / 150) {
      Files.write(checkpoint, Arrays.copyOf(bytes, cut));
      int[] rest = {0};
      String resumed =
          new OfflineSearch(backend, options)
              .checkpoint(checkpoint)
              .listener(progress -> rest[0]++)
              .run(source)
              .toJson();
      assertEquals(whole, resumed, "cut to " + cut);
      assertTrue(rest[0] <= all, "cut to " + cut);
      left = Math.min(left, rest[0]);
    }
    assertEquals(all - 11, left); // whole, nothing is done twice
  }

  private static int points(CalibrationSource source, SearchOptions options) {
    int[] points = {0};
    new OfflineSearch(backend, options).listener(progress -> points[0]++).run(source);
    return points[0];
  }

  @Test
  void aCheckpointThatCannotBeWrittenEndsTheSearch(@TempDir Path folder) {
    Path checkpoint = folder.resolve("search.checkpoint");
    int[] points = {0};
    OfflineSearch search =
        new OfflineSearch(backend, options(null))
            .checkpoint(checkpoint)
            .checkpointEvery(Duration.ZERO)
            .listener(
                progress -> {
                  if (++points[0] == 3) {
                    try {
                      Files.delete(checkpoint);
                      Files.createDirectory(checkpoint);
                    } catch (IOException e) {
                      throw new UncheckedIOException(e);
                    }
                  }
                });
    UncheckedIOException e =
        assertThrows(UncheckedIOException.class, () -> search.run(source(1, null, 0, 0)));
    assertTrue(e.getMessage().contains(checkpoint.toString()), e.getMessage());
    assertTrue(points[0] <= 5, points[0] + " points"); // not when all is done
  }

  /** Each option that decides which heads are refined belongs to the checkpoint's search. */
  @Test
  void aSearchWithAnyOtherOptionIsAnother(@TempDir Path folder) {
    SyntheticSource source = source(1, null, 0, 0);
    SearchOptions options =
        options(null).withShare(0.4).withRefine(true).withPhaseStarts(List.of(0));
    CostModel cost = new CostModel("measured", 0.1, 0.02, 0.03, 0.9, "here", 0.01, 0.02);
    Path checkpoint = folder.resolve("search.checkpoint");
    assertEquals(null, OfflineSearch.keptCost(checkpoint));
    new OfflineSearch(backend, options.withCost(cost)).checkpoint(checkpoint).run(source);
    assertEquals(cost, OfflineSearch.keptCost(checkpoint));
    int visits = source.visits;
    new OfflineSearch(backend, options.withCost(cost)).checkpoint(checkpoint).run(source);
    assertEquals(visits, source.visits); // goes on where it was: at the end
    for (SearchOptions other :
        List.of(
            options,
            options.withCost(new CostModel("measured", 0.1, 0.02, 0.03, 0.8, "here", 0.01, 0.02)),
            options.withCost(cost).withMaxError(0.5),
            options.withCost(cost).withEpsilon(0.9),
            options.withCost(cost).withLambda(0.4),
            options.withCost(cost).withTargetDensity(0.5),
            options.withCost(cost).withTargetSpeedup(2),
            options.withCost(cost).withDenseSteps(1),
            options.withCost(cost).withSeed(7),
            options.withCost(cost).withShare(0.5),
            options.withCost(cost).withRefine(false),
            options.withCost(cost).withStepsPerPhase(1),
            options.withCost(cost).withRule(RuleName.PAPER),
            options.withCost(cost).withPhaseStarts(List.of(0, 1)),
            options.withCost(cost).withBlock(32))) {
      OfflineSearch search = new OfflineSearch(backend, other).checkpoint(checkpoint);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> search.run(source));
      assertTrue(e.getMessage().contains("belongs to another search"), e.getMessage());
    }
  }

  /** Kernels make numbers of some of these that look like any other. */
  @Test
  void whatIsNoNumberIsRefusedWithItsPlace() {
    for (int part = 0; part < 3; part++) {
      for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
        SyntheticSource source = source(part, new Key(1, 2, 1, 0), 40, value);
        NotFiniteException e =
            assertThrows(
                NotFiniteException.class,
                () -> new OfflineSearch(backend, options(null)).measure(source));
        String expected =
            "sample 1, step 2, layer 1, branch 0: %s holds NaN or an infinity, at batch row 0, head 1, token 40"
                .formatted("QKV".charAt(part));
        assertTrue(e.getMessage().startsWith(expected), e.getMessage());
      }
    }
    // Text past the valid is no key, and may hold anything.
    for (int part = 1; part < 3; part++) {
      SyntheticSource source = source(part, new Key(1, 2, 1, 0), 86, Float.NaN);
      new OfflineSearch(backend, options(null)).measure(source);
    }
  }

  @Test
  void aSearchThatMeetsNaNKeepsWhatItFound(@TempDir Path folder) {
    Path checkpoint = folder.resolve("search.checkpoint");
    SyntheticSource damaged = source(1, new Key(1, 2, 1, 0), 40, Float.NaN);
    SyntheticSource whole = source(1, null, 0, 0);
    SearchOptions options = options(null);
    OfflineSearch search = new OfflineSearch(backend, options).checkpoint(checkpoint);
    assertThrows(NotFiniteException.class, () -> search.run(damaged));
    int[] points = {0};
    DispatchTable table =
        new OfflineSearch(backend, options)
            .checkpoint(checkpoint)
            .listener(progress -> points[0]++)
            .run(whole);
    assertEquals(new OfflineSearch(backend, options).run(whole).toJson(), table.toJson());
    // 22 points come before the damaged one; two stages of 24 in all.
    assertEquals(2 * 24 - 22, points[0]);
  }

  /** Three steps, two samples, two layers; of one point, head 1 holds value at a token. */
  private static SyntheticSource source(int part, Key damaged, int token, float value) {
    Head head =
        (key, random, q, k, v) -> {
          RANDOM.fill(key, random, q, k, v);
          if (key.equals(damaged)) {
            float[] values = part == 0 ? q : part == 1 ? k : v;
            values[token * HEAD_DIM + 3] = value;
          }
        };
    return new SyntheticSource(
        Sequence.video(3, 4, 7).withText(5, false), // tokens 84 to 88 are text
        2,
        HEAD_DIM,
        3,
        2,
        24,
        new int[] {2},
        List.of(RANDOM, head, RANDOM));
  }

  @Test
  void windowsCostNoPasses() {
    Sequence sequence = Sequence.video(3, 4, 7);
    SyntheticSource source =
        new SyntheticSource(sequence, 1, HEAD_DIM, 2, 2, 24, null, Collections.nCopies(2, RANDOM));
    Map<Mode, Long> few = swept(sequence, source, List.of(0L));
    Map<Mode, Long> many = swept(sequence, source, LongStream.range(0, 84).boxed().toList());
    assertEquals(few, many);
    long onePass = source.points() * sequence.videoBlocks(BLOCK) * 2;
    many.forEach((mode, blocks) -> assertTrue(blocks <= 3 * onePass, mode + ": " + blocks));
    assertEquals(3 * onePass, many.get(Mode.DIAGONAL));
  }

  /** How many query blocks are swept over all keys, per mode. */
  private static Map<Mode, Long> swept(
      Sequence sequence, SyntheticSource source, List<Long> windows) {
    Candidates candidates =
        Candidates.builder()
            .diagonal(windows)
            .multiDiagonal(windows)
            .anchors(List.of(1, 2))
            .stripes(Order.FRAME_MAJOR, List.of(1, 2))
            .stripes(Order.TOKEN_MAJOR, List.of(1, 2))
            .build();
    Map<Mode, Long> swept = new HashMap<>();
    new OfflineSearch(
            options(candidates),
            "test",
            setup -> {
              Sweeper real = Sweeper.on(backend, setup);
              return new Sweeper() {
                @Override
                public SweepResult sweep(Point point, SweepRequest request) {
                  Mode mode =
                      request.rule() == SweepRequest.Rule.RANKED
                          ? Mode.VERTICAL_STRIPE
                          : request.order().equals(Order.FRAME_MAJOR)
                              ? Mode.DIAGONAL
                              : Mode.MULTI_DIAGONAL;
                  long heads = request.headEnd() - request.headBegin();
                  swept.merge(mode, heads * request.queryBlocks().length, Long::sum);
                  return real.sweep(point, request);
                }

                @Override
                public void close() {
                  real.close();
                }
              };
            })
        .measure(source);
    return swept;
  }

  @Test
  void densityFallsAsLambdaRises() {
    Sequence sequence = Sequence.video(8, 8, 8);
    SyntheticSource source =
        new SyntheticSource(sequence, 2, 32, 2, 2, 24, null, PlantedHeads.all(sequence, 32));
    Findings findings = new OfflineSearch(backend, options(null)).measure(source);
    double previous = 1;
    for (double lambda = 1e-5; lambda < 1e3; lambda *= 1.5) {
      Selection selection = findings.select(lambda);
      assertTrue(selection.density() <= previous + 1e-12, "λ " + lambda);
      previous = selection.density();
    }
    List<ParetoFront.Point> points = findings.front().points();
    assertTrue(points.size() >= 5, points::toString);
    for (int i = 1; i < points.size(); i++) {
      assertTrue(points.get(i).density() < points.get(i - 1).density());
      assertTrue(points.get(i).error() > points.get(i - 1).error());
    }
  }

  @Test
  void targetsAreReached() {
    for (RuleName rule : RuleName.values()) {
      Findings findings = randomFindings(rule);
      for (double target : new double[] {0.3, 0.5, 0.8}) {
        Selection selection = findings.with(findings.options().withTargetDensity(target)).select();
        assertTrue(selection.density() <= target);
        assertTrue(
            selection.density() > target - 0.15, rule + " " + target + " " + selection.density());
        Selection fast = findings.with(findings.options().withTargetSpeedup(1 / target)).select();
        assertTrue(fast.speedup() >= 1 / target);
      }
    }
    Findings findings = randomFindings(RuleName.LAGRANGIAN);
    SearchOptions strict = findings.options().withMaxError(1e-9).withTargetDensity(0.2);
    assertThrows(IllegalArgumentException.class, () -> findings.with(strict).table());
  }

  @Test
  void denseStepsCount() {
    Findings findings = randomFindings(RuleName.LAGRANGIAN);
    SearchOptions options = findings.options().withDenseSteps(2).withTargetDensity(0.7);
    DispatchTable table = findings.with(options).table();
    double timestep = 749; // of step 1 of 4
    assertEquals(List.of(Pattern.full(), Pattern.full()), table.patterns(timestep, 0));
    Selection selection = findings.with(options).select();
    assertTrue(selection.density() <= 0.7 && selection.density() >= 0.5);
    List<Double> tried = new ArrayList<>();
    DispatchTable best =
        findings
            .with(options.withDenseSteps(0))
            .table(
                List.of(0, 1, 2, 3),
                policy -> {
                  tried.add((double) tried.size());
                  return tried.size() == 2 ? 30 : 20;
                });
    assertEquals(3, tried.size()); // three dense steps of four leave no room below 0.7
    assertEquals(List.of(Pattern.full(), Pattern.full()), best.patterns(999, 0));
    assertEquals(findings.with(options.withDenseSteps(1)).table().toJson(), best.toJson());
  }

  /** A made-up model of what a run makes of errors is found again from whole runs alone. */
  @Test
  void weightsAreFoundFromWholeRuns() {
    Findings findings = randomFindings(RuleName.LAGRANGIAN);
    findings = findings.with(findings.options().withTargetDensity(0.5));
    double[] ofPhase = {5, 1, 0.25};
    double[] ofLayer = {0.5, 3, 1};
    List<DispatchTable> tried = new ArrayList<>();
    WholeRun run =
        policy -> {
          DispatchTable table = (DispatchTable) policy;
          tried.add(table);
          double squares = 0;
          List<Double> timesteps = List.of(999.0, 749.0, 499.0, 249.0);
          for (int step = 0; step < 4; step++) {
            DispatchTable.Phase phase = table.phases().get(table.phase(timesteps.get(step)));
            for (int layer = 0; layer < phase.layers().size(); layer++) {
              for (DispatchTable.HeadEntry entry : phase.layers().get(layer)) {
                squares += 1e-3 * ofPhase[Math.min(step, 2)] * ofLayer[layer] * entry.error();
              }
            }
          }
          return -10 * Math.log10(squares);
        };
    Findings weighted = findings.weighted(run);
    assertEquals(6, tried.size());
    double[][] expected = new double[3][3];
    for (int phase = 0; phase < 3; phase++) {
      for (int layer = 0; layer < 3; layer++) {
        expected[phase][layer] = ofPhase[phase] * ofLayer[layer];
      }
    }
    double before = run.psnr(findings.table());
    double after = run.psnr(weighted.table());
    double truth = run.psnr(findings.weighted(expected).table());
    assertTrue(after > before + 0.2, after + " dB against " + before);
    assertEquals(truth, after, 0.5);
  }

  private static Findings randomFindings(RuleName rule) {
    Sequence sequence = Sequence.video(4, 5, 8);
    SyntheticSource source =
        new SyntheticSource(sequence, 3, HEAD_DIM, 4, 2, 24, null, Collections.nCopies(2, RANDOM));
    SearchOptions options =
        options(null)
            .withRule(rule)
            .withLambda(rule == RuleName.PAPER ? 0.5 : 0.1)
            .withPhaseStarts(List.of(0, 1, 2));
    return new OfflineSearch(backend, options).measure(source);
  }

  private static SearchOptions options(Candidates candidates) {
    return SearchOptions.defaults()
        .withBlock(BLOCK)
        .withCandidates(candidates)
        .withShare(1)
        .withRefine(false)
        .withStepsPerPhase(8);
  }
}
