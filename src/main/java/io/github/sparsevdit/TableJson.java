package io.github.sparsevdit;

import io.github.sparsevdit.DispatchTable.HeadEntry;
import io.github.sparsevdit.DispatchTable.Phase;
import io.github.sparsevdit.DispatchTable.SearchInfo;
import io.github.sparsevdit.internal.Json;
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
    boolean textFirst = object.has("textFirst") && object.field("textFirst").bool();
    try {
      return new Sequence(frames, height, width, text, textFirst);
    } catch (IllegalArgumentException e) {
      throw object.wrong(e.getMessage());
    }
  }

  private static SearchInfo search(Json object) {
    object.only(
        "rule", "lambda", "epsilon", "cost", "device", "samples", "timesteps", "sourceSha256");
    return new SearchInfo(
        object.field("rule").text(),
        numberOrNaN(object, "lambda"),
        numberOrNaN(object, "epsilon"),
        textOrEmpty(object, "cost"),
        textOrEmpty(object, "device"),
        object.has("samples") ? object.field("samples").integer(0) : 0,
        object.has("timesteps")
            ? object.field("timesteps").array().stream().map(Json::number).toList()
            : List.of(),
        textOrEmpty(object, "sourceSha256"));
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
    double value = numberOrNaN(object, name);
    if (value < 0) {
      throw object.field(name).expected("at least 0");
    }
    return value;
  }

  private static double numberOrNaN(Json object, String name) {
    return object.has(name) ? object.field(name).number() : Double.NaN;
  }

  private static String textOrEmpty(Json object, String name) {
    return object.has(name) ? object.field(name).text() : "";
  }

  static String write(DispatchTable table) {
    StringBuilder to = new StringBuilder();
    to.append("{\"format\": ").append(Json.quote(FORMAT));
    to.append(", \"version\": ").append(DispatchTable.VERSION);
    ModelShape model = table.model();
    to.append(",\n \"model\": {\"name\": ").append(Json.quote(model.name()));
    to.append(", \"layers\": ").append(model.layers());
    to.append(", \"heads\": ").append(model.heads());
    to.append(", \"headDim\": ").append(model.headDim());
    Sequence sequence = table.sequence();
    to.append("},\n \"sequence\": {\"frames\": ").append(sequence.frames());
    to.append(", \"height\": ").append(sequence.height());
    to.append(", \"width\": ").append(sequence.width());
    to.append(", \"text\": ").append(sequence.text());
    to.append(", \"textFirst\": ").append(sequence.textFirst());
    to.append("}, \"block\": ").append(table.block());
    if (table.search() != null) {
      to.append(",\n \"search\": {");
      write(table.search(), to);
      to.append('}');
    }
    to.append(",\n \"phases\": [");
    for (int i = 0; i < table.phases().size(); i++) {
      to.append(i == 0 ? "\n  " : ",\n  ");
      write(table.phases().get(i), to);
    }
    return to.append("\n ]\n}\n").toString();
  }

  private static void write(SearchInfo search, StringBuilder to) {
    to.append("\"rule\": ").append(Json.quote(search.rule()));
    writeNumber("lambda", search.lambda(), to);
    writeNumber("epsilon", search.epsilon(), to);
    writeText("cost", search.cost(), to);
    writeText("device", search.device(), to);
    to.append(", \"samples\": ").append(search.samples());
    to.append(", \"timesteps\": ").append(search.timesteps().stream().map(Json::number).toList());
    writeText("sourceSha256", search.sourceSha256(), to);
  }

  private static void write(Phase phase, StringBuilder to) {
    to.append("{\"from\": ").append(Json.number(phase.from()));
    to.append(", \"to\": ").append(Json.number(phase.to()));
    if (phase.dense()) {
      to.append(", \"mode\": ").append(Json.quote(Mode.FULL.json())).append('}');
      return;
    }
    to.append(", \"layers\": [");
    for (int layer = 0; layer < phase.layers().size(); layer++) {
      to.append(layer == 0 ? "\n   [" : ",\n   [");
      List<HeadEntry> heads = phase.layers().get(layer);
      for (int head = 0; head < heads.size(); head++) {
        to.append(head == 0 ? "{" : ",\n    {");
        PatternJson.write(heads.get(head).pattern(), to);
        writeNumber("density", heads.get(head).density(), to);
        writeNumber("error", heads.get(head).error(), to);
        to.append('}');
      }
      to.append(']');
    }
    to.append("\n  ]}");
  }

  private static void writeNumber(String name, double value, StringBuilder to) {
    if (!Double.isNaN(value)) {
      to.append(", ").append(Json.quote(name)).append(": ").append(Json.number(value));
    }
  }

  private static void writeText(String name, String value, StringBuilder to) {
    if (!value.isEmpty()) {
      to.append(", ").append(Json.quote(name)).append(": ").append(Json.quote(value));
    }
  }
}
