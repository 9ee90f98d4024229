package io.github.sparsevdit.search.capture;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.internal.io.AtomicFiles;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.io.JsonText;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * {@code capture.json} and the names of the tensors beside it; the format is described at {@link
 * CapturedSource}.
 */
record CaptureManifest(
    ModelShape model,
    Sequence sequence,
    ElementType type,
    Schedule schedule,
    int samples,
    int branches,
    List<Integer> networkStarts,
    boolean tokensFirst,
    CapturedPart part,
    String checkpointSha256, // empty where a capture does not say
    String source) { // sha256 of what is captured; empty where a capture does not say
  static final String FILE = "capture.json";
  static final String FORMAT = "sparse-vdit/capture";
  static final int VERSION = 1;

  private static final Pattern POINT =
      Pattern.compile("(\\d{1,6})\\.(\\d{1,6})\\.(\\d{1,6})\\.(\\d)");
  private static final Pattern PROJECTION =
      Pattern.compile("outProjection\\.(\\d{1,6})(?:\\.([1-9]\\d{0,5}))?");

  /** What a point's tensors are called, up to the last dot. */
  static String name(Key key) {
    return key.sample() + "." + key.step() + "." + key.layer() + "." + key.branch();
  }

  /** What the output projection of a layer is called, in the network-th network from 0. */
  static String projection(int layer, int network) {
    return "outProjection." + layer + (network == 0 ? "" : "." + network);
  }

  /** Whether an output projection of that name belongs to this capture. */
  boolean knowsProjection(String name) {
    Matcher matcher = PROJECTION.matcher(name);
    return matcher.matches()
        && Integer.parseInt(matcher.group(1)) < model.layers()
        && (matcher.group(2) == null || Integer.parseInt(matcher.group(2)) <= networkStarts.size());
  }

  /** Which network computes a step. */
  int network(int step) {
    return (int) networkStarts.stream().filter(start -> start <= step).count();
  }

  /** The point of that name; IllegalArgumentException if it is none of this capture. */
  Key key(String name) {
    Matcher matcher = POINT.matcher(name);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "\"%s\" is no point; expected <sample>.<step>.<layer>.<branch>".formatted(name));
    }
    Key key =
        new Key(
            Integer.parseInt(matcher.group(1)),
            Integer.parseInt(matcher.group(2)),
            Integer.parseInt(matcher.group(3)),
            Integer.parseInt(matcher.group(4)));
    requireBelow(key.sample(), samples, "sample", name);
    requireBelow(key.step(), schedule.steps(), "step", name);
    requireBelow(key.layer(), model.layers(), "layer", name);
    requireBelow(key.branch(), branches, "branch", name);
    return key;
  }

  private static ElementType elementType(Json name) {
    for (ElementType type : ElementType.values()) {
      if (type.tensorType() == type && type.name().equalsIgnoreCase(name.text())) {
        return type;
      }
    }
    throw name.expected("bf16, fp16 or fp32");
  }

  /** Reads and checks the manifest of a capture. */
  static CaptureManifest read(Path folder) {
    Json json = Json.read(folder.resolve(FILE));
    if (!json.field("format").text().equals(FORMAT)) {
      throw json.field("format").expected("\"" + FORMAT + "\"");
    }
    json.field("version").integer(VERSION, VERSION);
    Json model = json.field("model");
    String layout = json.field("layout").text();
    if (!layout.equals("BHSD") && !layout.equals("BSHD")) {
      throw json.field("layout").expected("BHSD or BSHD");
    }
    ModelShape shape =
        new ModelShape(
            model.field("name").text(),
            model.field("layers").integer(1),
            model.field("heads").integer(1),
            model.field("headDim").integer(1));
    Sequence sequence = sequence(json.field("sequence"));
    Schedule schedule = schedule(json.field("timesteps"));
    return new CaptureManifest(
        shape,
        sequence,
        elementType(json.field("type")),
        schedule,
        json.field("samples").integer(1),
        json.field("branches").integer(1),
        json.has("networkStarts")
            ? networkStarts(json.field("networkStarts"), schedule.steps())
            : List.of(),
        layout.equals("BSHD"),
        CapturedPart.read(json, shape, sequence),
        json.text("checkpointSha256", ""),
        json.text("source", ""));
  }

  private static Sequence sequence(Json json) {
    int frames = json.field("frames").integer(1);
    int height = json.field("height").integer(1);
    int width = json.field("width").integer(1);
    int text = json.field("text").integer(0);
    boolean textFirst = json.field("textFirst").bool();
    try {
      return new Sequence(frames, height, width, text, textFirst);
    } catch (IllegalArgumentException e) {
      throw json.wrong(e.getMessage());
    }
  }

  private static Schedule schedule(Json json) {
    List<Double> timesteps = json.array().stream().map(Json::number).toList();
    try {
      return new Schedule(timesteps);
    } catch (IllegalArgumentException e) {
      throw json.wrong(e.getMessage());
    }
  }

  private static List<Integer> networkStarts(Json json, int steps) {
    List<Integer> starts = new ArrayList<>();
    int previous = 0;
    for (Json start : json.array()) {
      int step = start.integer(0);
      if (step <= previous || step >= steps) {
        throw json.expected("steps from 1 to %d, ascending".formatted(steps - 1));
      }
      starts.add(step);
      previous = step;
    }
    return List.copyOf(starts);
  }

  /** Writes it, whole or not at all: once, before the first point; some 1.3 KB at 50 steps. */
  void write(Path folder) {
    ObjectNode json =
        JsonNodeFactory.instance.objectNode().put("format", FORMAT).put("version", VERSION);
    json.putObject("model")
        .put("name", model.name())
        .put("layers", model.layers())
        .put("heads", model.heads())
        .put("headDim", model.headDim());
    json.putObject("sequence")
        .put("frames", sequence.frames())
        .put("height", sequence.height())
        .put("width", sequence.width())
        .put("text", sequence.text())
        .put("textFirst", sequence.textFirst());
    json.put("type", type.name().toLowerCase(Locale.ROOT))
        .put("layout", tokensFirst ? "BSHD" : "BHSD")
        .put("samples", samples)
        .put("branches", branches);
    ArrayNode timesteps = json.putArray("timesteps");
    schedule.timesteps().forEach(timesteps::add);
    if (!networkStarts.isEmpty()) {
      networkStarts.forEach(json.putArray("networkStarts")::add);
    }
    part.write(json);
    if (!checkpointSha256.isEmpty()) {
      json.put("checkpointSha256", checkpointSha256);
    }
    if (!source.isEmpty()) {
      json.put("source", source);
    }
    AtomicFiles.write(folder.resolve(FILE), JsonText.pretty(json));
  }

  private static void requireBelow(int value, int end, String what, String name) {
    if (value >= end) {
      throw new IllegalArgumentException(
          "point %s: %s %d; the capture has %d".formatted(name, what, value, end));
    }
  }
}
