package io.github.sparsevdit.table;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.io.JsonText;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import io.github.sparsevdit.table.DispatchTable.SearchInfo;
import java.util.List;

/** Tables as JSON. */
final class TableJson {
  static final long MAX_BYTES = 1L << 29;

  private static final String FORMAT = "sparse-vdit/dispatch";
  private static final int DEPTH = 12;

  private TableJson() {}

  static DispatchTable read(String source, String text) {
    Json root = Json.parse(source, text, DEPTH);
    Json format = root.field("format");
    if (!format.text().equals(FORMAT)) {
      throw format.expected("\"" + FORMAT + "\"");
    }
    root.field("version").integer(DispatchTable.VERSION, DispatchTable.VERSION);
    root.only("format", "version", "model", "sequence", "block", "search", "phases");
    ModelShape model = model(root.field("model"));
    Sequence sequence = sequence(root.field("sequence"));
    int block = root.field("block").integer(1);
    SearchInfo search = root.has("search") ? search(root.field("search")) : null;
    List<Phase> phases = root.field("phases").array().stream().map(TableJson::phase).toList();
    try {
      return new DispatchTable(model, sequence, block, search, phases);
    } catch (IllegalArgumentException e) {
      throw root.wrong(e.getMessage());
    }
  }

  private static ModelShape model(Json object) {
    object.only("name", "layers", "heads", "headDim");
    return new ModelShape(
        object.field("name").text(),
        object.field("layers").integer(1),
        object.field("heads").integer(1),
        object.field("headDim").integer(1));
  }

  private static Sequence sequence(Json object) {
    object.only("frames", "height", "width", "text", "textFirst");
    int frames = object.field("frames").integer(1);
    int height = object.field("height").integer(1);
    int width = object.field("width").integer(1);
    int text = object.has("text") ? object.field("text").integer(0) : 0;
    boolean textFirst = object.bool("textFirst", false);
    try {
      return new Sequence(frames, height, width, text, textFirst);
    } catch (IllegalArgumentException e) {
      throw object.wrong(e.getMessage());
    }
  }

  private static SearchInfo search(Json object) {
    object.only(
        "rule",
        "lambda",
        "epsilon",
        "cost",
        "device",
        "samples",
        "timesteps",
        "sourceSha256",
        "checkpointSha256",
        "searchSha256");
    return new SearchInfo(
        object.field("rule").text(),
        object.number("lambda", Double.NaN),
        object.number("epsilon", Double.NaN),
        object.text("cost", ""),
        object.text("device", ""),
        object.has("samples") ? object.field("samples").integer(0) : 0,
        object.has("timesteps")
            ? object.field("timesteps").array().stream().map(Json::number).toList()
            : List.of(),
        object.text("sourceSha256", ""),
        object.text("checkpointSha256", ""),
        object.text("searchSha256", ""));
  }

  private static Phase phase(Json object) {
    object.only("from", "to", "mode", "layers");
    double from = object.field("from").number();
    double to = object.field("to").number();
    if (object.has("mode") == object.has("layers")) {
      throw object.wrong("expected either \"mode\": \"full\" or \"layers\"");
    }
    if (object.has("mode")) {
      if (!object.field("mode").text().equals(Mode.FULL.json())) {
        throw object.field("mode").expected("\"full\"; other modes stand in layers");
      }
      return Phase.full(from, to);
    }
    List<List<HeadEntry>> layers =
        object.field("layers").array().stream()
            .map(layer -> layer.array().stream().map(TableJson::head).toList())
            .toList();
    if (layers.isEmpty()) {
      throw object.field("layers").expected("a list of heads per layer");
    }
    return new Phase(from, to, layers);
  }

  private static HeadEntry head(Json object) {
    Pattern pattern = PatternJson.read(object, "density", "error");
    return new HeadEntry(pattern, measure(object, "density"), measure(object, "error"));
  }

  private static double measure(Json object, String name) {
    double value = object.number(name, Double.NaN);
    if (value < 0) {
      throw object.field(name).expected("at least 0");
    }
    return value;
  }

  static String write(DispatchTable table) {
    JsonText to = JsonText.readable().object();
    to.field("format", FORMAT).field("version", DispatchTable.VERSION);
    ModelShape model = table.model();
    to.line(1).field("model").object();
    to.field("name", model.name()).field("layers", model.layers());
    to.field("heads", model.heads()).field("headDim", model.headDim()).end();
    Sequence sequence = table.sequence();
    to.line(1).field("sequence").object().field("frames", sequence.frames());
    to.field("height", sequence.height()).field("width", sequence.width());
    to.field("text", sequence.text()).field("textFirst", sequence.textFirst()).end();
    to.field("block", table.block());
    if (table.search() != null) {
      to.line(1).field("search").object();
      write(table.search(), to);
      to.end();
    }
    to.line(1).field("phases").array();
    for (Phase phase : table.phases()) {
      to.line(2);
      write(phase, to);
    }
    return to.line(1).end().line(0).end() + "\n";
  }

  private static void write(SearchInfo search, JsonText to) {
    to.field("rule", search.rule());
    writeNumber("lambda", search.lambda(), to);
    writeNumber("epsilon", search.epsilon(), to);
    writeText("cost", search.cost(), to);
    writeText("device", search.device(), to);
    to.field("samples", search.samples()).field("timesteps", search.timesteps());
    writeText("sourceSha256", search.sourceSha256(), to);
    writeText("checkpointSha256", search.checkpointSha256(), to);
    writeText("searchSha256", search.searchSha256(), to);
  }

  private static void write(Phase phase, JsonText to) {
    to.object().field("from", phase.from()).field("to", phase.to());
    if (phase.dense()) {
      to.field("mode", Mode.FULL.json()).end();
      return;
    }
    to.field("layers").array();
    for (List<HeadEntry> heads : phase.layers()) {
      to.line(3).array();
      for (int head = 0; head < heads.size(); head++) {
        if (head > 0) {
          to.line(4);
        }
        to.object();
        PatternJson.write(heads.get(head).pattern(), to);
        writeNumber("density", heads.get(head).density(), to);
        writeNumber("error", heads.get(head).error(), to);
        to.end();
      }
      to.end();
    }
    to.line(2).end().end();
  }

  private static void writeNumber(String name, double value, JsonText to) {
    if (!Double.isNaN(value)) {
      to.field(name, value);
    }
  }

  private static void writeText(String name, String value, JsonText to) {
    if (!value.isEmpty()) {
      to.field(name, value);
    }
  }
}
