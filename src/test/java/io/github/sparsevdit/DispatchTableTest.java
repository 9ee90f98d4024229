package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.DispatchTable.HeadEntry;
import io.github.sparsevdit.DispatchTable.Phase;
import io.github.sparsevdit.DispatchTable.SearchInfo;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DispatchTableTest {
  /** 2 layers of 3 heads on 6 blocks of 64 tokens. */
  private static final String GOOD =
      """
      {"format": "sparse-vdit/dispatch", "version": 1,
       "model": {"name": "tiny", "layers": 2, "heads": 3, "headDim": 64},
       "sequence": {"frames": 6, "height": 8, "width": 8, "text": 5, "textFirst": true}, "block": 64,
       "search": {"rule": "lagrangian", "lambda": 0.5, "cost": "measured", "samples": 8, "timesteps": [999, 500.5]},
       "phases": [
        {"from": 1000, "to": 875.5, "mode": "full"},
        {"from": 875.5, "to": 0, "layers": [
         [{"mode": "diagonal", "window": 64, "anchors": [0, 5], "density": 0.25, "error": 0.011},
          {"mode": "full"},
          {"mode": "skip", "error": 1e-05}],
         [{"mode": "multi-diagonal", "window": 0},
          {"mode": "vertical-stripe", "order": "tile-major", "tile": [2, 4, 4], "blocks": [1, 3]},
          {"mode": "blocks", "order": "token-major", "lists": [[0], [], [2, 3], [0, 1, 2, 3, 4, 5], [5], [4]]}]
        ]}]}
      """;

  @Test
  void readsWhatItSays() {
    DispatchTable table = DispatchTable.parse(GOOD);
    assertEquals(new ModelShape("tiny", 2, 3, 64), table.model());
    assertEquals(new Sequence(6, 8, 8, 5, true), table.sequence());
    assertEquals(64, table.block());
    assertEquals(
        new SearchInfo("lagrangian", 0.5, Double.NaN, "measured", "", 8, List.of(999.0, 500.5), ""),
        table.search());
    HeadEntry head = table.phases().get(1).layers().get(0).get(0);
    assertEquals(new HeadEntry(Pattern.diagonal(64, 0, 5), 0.25, 0.011), head);
    assertEquals(
        Pattern.verticalStripe(Order.tileMajor(2, 4, 4), 1, 3), table.patterns(0, 1).get(1));
  }

  @ParameterizedTest
  @CsvSource({"1000,0", "900,0", "875.6,0", "875.5,1", "875,1", "0,1"})
  void timestepsFindTheirPhase(double timestep, int phase) {
    DispatchTable table = DispatchTable.parse(GOOD);
    assertEquals(phase, table.phase(timestep));
    Mode first = table.patterns(timestep, 0).get(0).mode();
    assertEquals(phase == 0 ? Mode.FULL : Mode.DIAGONAL, first);
  }

  @ParameterizedTest
  @ValueSource(doubles = {-0.001, 1000.001, Double.NaN})
  void timestepsOutsideAreRefused(double timestep) {
    DispatchTable table = DispatchTable.parse(GOOD);
    assertThrows(IllegalArgumentException.class, () -> table.patterns(timestep, 0));
  }

  @Test
  void layersOutsideAreRefused() {
    DispatchTable table = DispatchTable.parse(GOOD);
    assertThrows(IllegalArgumentException.class, () -> table.patterns(5, 2));
    assertThrows(IllegalArgumentException.class, () -> table.patterns(5, -1));
  }

  @Test
  void randomTablesComeBackEqual() {
    long seed = System.nanoTime();
    for (int i = 0; i < 50; i++) {
      DispatchTable table = randomTable(new Random(seed + i));
      String json = table.toJson();
      assertEquals(table, DispatchTable.parse(json), "seed " + (seed + i));
      assertEquals(json, DispatchTable.parse(json).toJson(), "seed " + (seed + i));
    }
  }

  @Test
  void writesAHeadALine() {
    String json = DispatchTable.parse(GOOD).toJson();
    assertEquals(
        6,
        json.lines().filter(line -> line.contains("\"mode\"") && !line.contains("from")).count(),
        json);
    assertTrue(json.contains("{\"from\": 1000, \"to\": 875.5, \"mode\": \"full\"}"), json);
    assertTrue(
        json.contains(
            "{\"mode\": \"diagonal\", \"window\": 64, \"anchors\": [0, 5], \"density\": 0.25"),
        json);
  }

  @Test
  void filesAreReplacedWhole(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("table.json");
    DispatchTable table = DispatchTable.parse(GOOD);
    table.write(file);
    assertEquals(table, DispatchTable.read(file));
    DispatchTable other = randomTable(new Random(5));
    other.write(file);
    assertEquals(other, DispatchTable.read(file));
    try (var left = Files.list(folder)) {
      assertEquals(List.of(file), left.toList(), "temporary files were left");
    }
    assertThrows(UncheckedIOException.class, () -> table.write(folder.resolve("none/table.json")));
    assertThrows(UncheckedIOException.class, () -> DispatchTable.read(folder.resolve("none.json")));
  }

  /** Each line: what is replaced in the good table, by what, and what the message must say. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"sparse-vdit/dispatch\" | \"other\" | format is \"other\", expected"
            + " \"sparse-vdit/dispatch\"",
        "\"version\": 1 | \"version\": 2 | version is 2",
        "\"version\": 1 | \"version\": \"1\" | version is \"1\"",
        "\"layers\": 2 | \"layers\": 3 | phases[1].layers is 2 layers, expected model.layers, 3",
        "\"heads\": 3 | \"heads\": 4 | phases[1].layers[0] is 3 heads, expected model.heads, 4",
        "\"heads\": 3 | \"heads\": 0 | model.heads is 0, expected an integer of at least 1",
        "\"headDim\": 64 | \"headDim\": 64.5 | model.headDim is 64.5",
        "\"headDim\": 64 | \"headDim\": 64, \"depth\": 1 | model has the unknown field \"depth\"",
        "\"name\": \"tiny\" | \"name\": 7 | model.name is 7, expected a string",
        "\"name\": \"tiny\", | `` | model.name is missing",
        "\"frames\": 6 | \"frames\": 0 | sequence.frames is 0",
        "\"frames\": 6 | \"frames\": 2000000000 | sequence: a sequence holds at most",
        "\"frames\": 6 | \"frames\": 99999999999999999999 | sequence.frames is"
            + " 99999999999999999999",
        "\"textFirst\": true | \"textFirst\": 1 | sequence.textFirst is 1, expected true or false",
        "\"block\": 64 | \"block\": 63 | block is 63, expected 16, 32, 64 or 128",
        "\"block\": 64 | \"block\": 128 | phases[1].layers[0][0]: diagonal: anchors hold block 5",
        "\"block\": 64 | \"block\": 64, \"block\": 64 | Duplicate field 'block'",
        "\"block\": 64 | \"block\": 64, \"note\": 1 | unknown field \"note\"",
        "\"rule\": \"lagrangian\", | `` | search.rule is missing",
        "\"lambda\": 0.5 | \"lambda\": NaN | not valid JSON",
        "\"lambda\": 0.5 | \"lambda\": 1e999 | search.lambda is",
        "\"samples\": 8 | \"samples\": -1 | search.samples is -1",
        "\"from\": 1000, | \"from\": 999, | phases[0].from is 999.0, expected 1000",
        "\"from\": 875.5, \"to\": 0 | \"from\": 875, \"to\": 0 | phases[1].from is 875.0, expected"
            + " 875.5, where phases[0] ends",
        "\"from\": 875.5, \"to\": 0 | \"from\": 900, \"to\": 0 | phases[1].from is 900.0",
        "\"from\": 875.5, \"to\": 0 | \"from\": 875.5, \"to\": 1 | phases[1].to is 1.0, expected 0,"
            + " where timesteps end",
        "\"from\": 875.5, \"to\": 0 | \"from\": 875.5, \"to\": -1 | phases[1].to is -1.0",
        "\"to\": 875.5 | \"to\": 1000 | phases[0].to is 1000.0",
        "\"to\": 875.5, \"mode\": \"full\" | \"to\": 875.5 | phases[0]: expected either",
        "\"to\": 875.5, \"mode\": \"full\" | \"to\": 875.5, \"mode\": \"skip\" | phases[0].mode is"
            + " \"skip\"",
        "\"to\": 0, \"layers\" | \"to\": 0, \"mode\": \"full\", \"layers\" | phases[1]: expected"
            + " either",
        "\"mode\": \"diagonal\" | \"mode\": \"diagonl\" | phases[1].layers[0][0].mode: unknown mode"
            + " \"diagonl\"",
        "\"mode\": \"diagonal\" | \"mode\": null | phases[1].layers[0][0].mode is null, expected a"
            + " string",
        "\"window\": 64 | \"window\": -1 | phases[1].layers[0][0].window is -1, expected an integer"
            + " of at least 0",
        "\"window\": 64 | \"window\": 9223372036854775808 | phases[1].layers[0][0].window is"
            + " 9223372036854775808",
        "\"window\": 64, | `` | phases[1].layers[0][0].window is missing",
        "[0, 5] | [5, 0] | phases[1].layers[0][0].anchors[1] is 0, expected an integer of at least"
            + " 6",
        "[0, 5] | [0, 0] | phases[1].layers[0][0].anchors[1] is 0, expected an integer of at least"
            + " 1",
        "[0, 5] | [0, 6] | phases[1].layers[0][0]: diagonal: anchors hold block 6, expected less"
            + " than 6",
        "[0, 5] | [-1, 5] | phases[1].layers[0][0].anchors[0] is -1",
        "[0, 5] | 5 | phases[1].layers[0][0].anchors is 5, expected an array",
        "\"density\": 0.25 | \"density\": -0.25 | phases[1].layers[0][0].density is -0.25",
        "\"density\": 0.25 | \"density\": \"x\" | phases[1].layers[0][0].density is \"x\", expected"
            + " a finite number",
        "{\"mode\": \"full\"}, | {\"mode\": \"full\", \"window\": 1}, | phases[1].layers[0][1] has"
            + " the unknown field \"window\"",
        "{\"mode\": \"full\"}, | `` | phases[1].layers[0] is 2 heads",
        "{\"mode\": \"full\"}, | [], | phases[1].layers[0][1] is [], expected an object",
        "\"tile\": [2, 4, 4] | \"tile\": [2, 4] | phases[1].layers[1][1].tile is [2,4], expected"
            + " three sizes",
        "\"tile\": [2, 4, 4] | \"tile\": [2, 0, 4] | phases[1].layers[1][1].tile[1] is 0",
        "\"tile\": [2, 4, 4], | `` | phases[1].layers[1][1].tile is missing",
        "\"tile-major\" | \"token-major\" | phases[1].layers[1][1].tile is [2,4,4], expected none",
        "\"tile-major\" | \"spiral\" | phases[1].layers[1][1].order is \"spiral\"",
        "[1, 3] | [1, 99] | phases[1].layers[1][1]: vertical-stripe: blocks hold block 99",
        "[5], [4]] | [5]] | phases[1].layers[1][2]: blocks: lists 5, expected one per video block,"
            + " 6",
        "[5], [4]] | [5], [6]] | phases[1].layers[1][2]: blocks: list 5 hold block 6",
        "[5], [4]] | [5], [[4]]] | phases[1].layers[1][2].lists[5][0] is [4], expected an integer",
      })
  void malformedTablesAreRefused(String replaced, String by, String message) {
    assertTrue(GOOD.contains(replaced), replaced);
    String json = GOOD.replace(replaced, by);
    IllegalArgumentException thrown =
        assertThrows(IllegalArgumentException.class, () -> DispatchTable.parse(json));
    assertTrue(thrown.getMessage().contains(message), thrown.getMessage());
  }

  @Test
  void whatIsNoTableIsRefused() {
    List<String> documents =
        new ArrayList<>(List.of("", "  ", "7", "[]", "null", "{", GOOD + "x", GOOD + "{}", "{}"));
    documents.add("[".repeat(100_000));
    documents.add("{\"format\": ".repeat(5000));
    documents.add(GOOD.replace("\"window\": 64", "\"window\": " + "9".repeat(5000)));
    documents.add(GOOD.replaceAll("(?s)\"phases\".*", "\"phases\": []}"));
    documents.add(GOOD.replace("\"version\": 1", "// one\n\"version\": 1"));
    for (String document : documents) {
      IllegalArgumentException thrown =
          assertThrows(IllegalArgumentException.class, () -> DispatchTable.parse(document));
      assertTrue(thrown.getMessage().startsWith("table"), thrown.getMessage());
    }
    for (int length = 0; length < GOOD.trim().length(); length++) { // cut anywhere
      String cut = GOOD.substring(0, length);
      assertThrows(IllegalArgumentException.class, () -> DispatchTable.parse(cut));
    }
  }

  @Test
  void anotherSequenceNeedsRescaling() {
    DispatchTable table = DispatchTable.parse(GOOD);
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
      DispatchTable table = randomTable(random);
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

  private static DispatchTable randomTable(Random random) {
    Sequence sequence =
        new Sequence(
            1 + random.nextInt(5),
            1 + random.nextInt(9),
            1 + random.nextInt(9),
            random.nextInt(9),
            random.nextBoolean());
    ModelShape model =
        new ModelShape(
            "näme \"1\" \\ \n" + random.nextInt(),
            1 + random.nextInt(3),
            1 + random.nextInt(4),
            64);
    int block = 16 << random.nextInt(4);
    List<Phase> phases = new ArrayList<>();
    double from = 1000;
    while (from > 0) {
      double to = random.nextInt(3) == 0 ? 0 : from * random.nextDouble();
      phases.add(
          random.nextInt(3) == 0
              ? Phase.full(from, to)
              : new Phase(from, to, layers(random, model, sequence, block)));
      from = to;
    }
    SearchInfo search =
        random.nextBoolean()
            ? null
            : new SearchInfo(
                "paper",
                random.nextDouble(),
                random.nextBoolean() ? Double.NaN : 1 / 3.0,
                "",
                "a \"device\"",
                3,
                List.of(random.nextDouble(), 1e-300, 1e300, 999.0),
                "ab12");
    return new DispatchTable(model, sequence, block, search, phases);
  }

  private static List<List<HeadEntry>> layers(
      Random random, ModelShape model, Sequence sequence, int block) {
    return IntStream.range(0, model.layers())
        .mapToObj(
            layer ->
                IntStream.range(0, model.heads())
                    .mapToObj(
                        head ->
                            new HeadEntry(
                                pattern(random, sequence.videoBlocks(block)),
                                random.nextBoolean() ? Double.NaN : random.nextDouble(),
                                random.nextBoolean() ? Double.NaN : random.nextDouble() * 1e-9))
                    .toList())
        .toList();
  }

  private static Pattern pattern(Random random, int blocks) {
    Order order =
        switch (random.nextInt(3)) {
          case 0 -> Order.FRAME_MAJOR;
          case 1 -> Order.TOKEN_MAJOR;
          default -> Order.tileMajor(1 + random.nextInt(3), 2, 1 + random.nextInt(9));
        };
    long window = random.nextLong(1L << (1 + random.nextInt(62)));
    return switch (Mode.values()[random.nextInt(6)]) {
      case FULL -> Pattern.full();
      case SKIP -> Pattern.skip();
      case DIAGONAL -> Pattern.diagonal(window, some(random, blocks));
      case MULTI_DIAGONAL -> Pattern.multiDiagonal(window, some(random, blocks));
      case VERTICAL_STRIPE -> Pattern.verticalStripe(order, some(random, blocks));
      case BLOCKS ->
          Pattern.blocks(
              order,
              IntStream.range(0, blocks)
                  .mapToObj(i -> IntStream.of(some(random, blocks)).boxed().toList())
                  .toList());
    };
  }

  private static int[] some(Random random, int blocks) {
    TreeSet<Integer> some = new TreeSet<>();
    for (int i = random.nextInt(5); i > 0; i--) {
      some.add(random.nextInt(blocks));
    }
    return some.stream().mapToInt(Integer::intValue).toArray();
  }
}
