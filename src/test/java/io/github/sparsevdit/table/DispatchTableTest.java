package io.github.sparsevdit.table;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import io.github.sparsevdit.table.DispatchTable.SearchInfo;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
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
  static final String GOOD =
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
        new SearchInfo(
            "lagrangian", 0.5, Double.NaN, "measured", "", 8, List.of(999.0, 500.5), "", "", ""),
        table.search());
    HeadEntry head = table.phases().get(1).layers().get(0).get(0);
    assertEquals(new HeadEntry(Pattern.diagonal(64, 0, 5), 0.25, 0.011), head);
    assertEquals(
        Pattern.verticalStripe(Order.tileMajor(2, 4, 4), 1, 3), table.patterns(0, 1).get(1));
  }

  /** What a table was searched on goes with it to another sequence. */
  @Test
  void checkpointAndSearchAreNamed() {
    DispatchTable table =
        DispatchTable.parse(
            GOOD.replace(
                "\"samples\": 8",
                "\"samples\": 8, \"checkpointSha256\": \"12ab\", \"searchSha256\": \"34cd\""));
    assertEquals("12ab", table.search().checkpointSha256());
    assertEquals("34cd", table.search().searchSha256());
    String json = table.rescale(new Sequence(3, 8, 8, 5, true)).toJson();
    assertTrue(json.contains("\"checkpointSha256\": \"12ab\", \"searchSha256\": \"34cd\""), json);
    assertFalse(DispatchTable.parse(GOOD).toJson().contains("Sha256"));
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

  @Test
  void aHugeFileIsRefusedUnread(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("huge.json");
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(new byte[] {1}), TableJson.MAX_BYTES); // a sparse file
    }
    IllegalArgumentException thrown =
        assertThrows(IllegalArgumentException.class, () -> DispatchTable.read(file));
    assertTrue(thrown.getMessage().contains("536870913 bytes, expected at most 536870912"));
  }

  /** Each line: what is replaced in the good table, by what, and what the message must say. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"sparse-vdit/dispatch\" | \"other\" | format is \"other\"; expected"
            + " \"sparse-vdit/dispatch\"",
        "\"version\": 1 | \"version\": 2 | version is 2",
        "\"version\": 1 | \"version\": \"1\" | version is \"1\"",
        "\"layers\": 2 | \"layers\": 3 | phases[1].layers is 2 layers; expected model.layers, 3",
        "\"heads\": 3 | \"heads\": 4 | phases[1].layers[0] is 3 heads; expected model.heads, 4",
        "\"heads\": 3 | \"heads\": 0 | model.heads is 0; expected an integer of at least 1",
        "\"headDim\": 64 | \"headDim\": 64.5 | model.headDim is 64.5",
        "\"headDim\": 64 | \"headDim\": 64, \"depth\": 1 | model has the unknown field \"depth\"",
        "\"name\": \"tiny\" | \"name\": 7 | model.name is 7; expected a string",
        "\"name\": \"tiny\", | `` | model.name is missing",
        "\"frames\": 6 | \"frames\": 0 | sequence.frames is 0",
        "\"frames\": 6 | \"frames\": 2000000000 | sequence: a sequence holds at most",
        "\"frames\": 6 | \"frames\": 99999999999999999999 | sequence.frames is"
            + " 99999999999999999999",
        "\"textFirst\": true | \"textFirst\": 1 | sequence.textFirst is 1; expected true or false",
        "\"block\": 64 | \"block\": 63 | block is 63; expected 16, 32, 64 or 128",
        "\"block\": 64 | \"block\": 128 | phases[1].layers[0][0]: diagonal: anchors hold block 5",
        "\"block\": 64 | \"block\": 64, \"block\": 64 | Duplicate field 'block'",
        "\"block\": 64 | \"block\": 64, \"note\": 1 | unknown field \"note\"",
        "\"rule\": \"lagrangian\", | `` | search.rule is missing",
        "\"lambda\": 0.5 | \"lambda\": NaN | not valid JSON",
        "\"lambda\": 0.5 | \"lambda\": 1e999 | search.lambda is",
        "\"samples\": 8 | \"samples\": -1 | search.samples is -1",
        "\"from\": 1000, | \"from\": 999, | phases[0].from is 999.0; expected 1000",
        "\"from\": 875.5, \"to\": 0 | \"from\": 875, \"to\": 0 | phases[1].from is 875.0; expected"
            + " 875.5, where phases[0] ends",
        "\"from\": 875.5, \"to\": 0 | \"from\": 900, \"to\": 0 | phases[1].from is 900.0",
        "\"from\": 875.5, \"to\": 0 | \"from\": 875.5, \"to\": 1 | phases[1].to is 1.0; expected 0,"
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
        "\"mode\": \"diagonal\" | \"mode\": null | phases[1].layers[0][0].mode is null; expected a"
            + " string",
        "\"window\": 64 | \"window\": -1 | phases[1].layers[0][0].window is -1; expected an integer"
            + " of at least 0",
        "\"window\": 64 | \"window\": 9223372036854775808 | phases[1].layers[0][0].window is"
            + " 9223372036854775808",
        "\"window\": 64, | `` | phases[1].layers[0][0].window is missing",
        "[0, 5] | [5, 0] | phases[1].layers[0][0].anchors[1] is 0; expected an integer of at least"
            + " 6",
        "[0, 5] | [0, 0] | phases[1].layers[0][0].anchors[1] is 0; expected an integer of at least"
            + " 1",
        "[0, 5] | [0, 6] | phases[1].layers[0][0]: diagonal: anchors hold block 6, expected less"
            + " than 6",
        "[0, 5] | [-1, 5] | phases[1].layers[0][0].anchors[0] is -1",
        "[0, 5] | 5 | phases[1].layers[0][0].anchors is 5; expected an array",
        "\"density\": 0.25 | \"density\": -0.25 | phases[1].layers[0][0].density is -0.25",
        "\"density\": 0.25 | \"density\": \"x\" | phases[1].layers[0][0].density is \"x\"; expected"
            + " a finite number",
        "{\"mode\": \"full\"}, | {\"mode\": \"full\", \"window\": 1}, | phases[1].layers[0][1] has"
            + " the unknown field \"window\"",
        "{\"mode\": \"full\"}, | `` | phases[1].layers[0] is 2 heads",
        "{\"mode\": \"full\"}, | [], | phases[1].layers[0][1] is []; expected an object",
        "\"tile\": [2, 4, 4] | \"tile\": [2, 4] | phases[1].layers[1][1].tile is [2,4]; expected"
            + " three sizes",
        "\"tile\": [2, 4, 4] | \"tile\": [2, 0, 4] | phases[1].layers[1][1].tile[1] is 0",
        "\"tile\": [2, 4, 4], | `` | phases[1].layers[1][1].tile is missing",
        "\"tile-major\" | \"token-major\" | phases[1].layers[1][1].tile is [2,4,4]; expected none",
        "\"tile-major\" | \"spiral\" | phases[1].layers[1][1].order is \"spiral\"",
        "[1, 3] | [1, 99] | phases[1].layers[1][1]: vertical-stripe: blocks hold block 99",
        "[5], [4]] | [5]] | phases[1].layers[1][2]: blocks: lists 5, expected one per video block,"
            + " 6",
        "[5], [4]] | [5], [6]] | phases[1].layers[1][2]: blocks: list 5 hold block 6",
        "[5], [4]] | [5], [[4]]] | phases[1].layers[1][2].lists[5][0] is [4]; expected an integer",
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

  static DispatchTable randomTable(Random random) {
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
                "ab12",
                random.nextBoolean() ? "" : "cd34",
                random.nextBoolean() ? "" : "ef56");
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
    return switch (Mode.values()[random.nextInt(Mode.values().length)]) {
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
