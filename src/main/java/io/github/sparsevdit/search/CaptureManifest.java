package io.github.sparsevdit.search;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.ModelShape;
import io.github.sparsevdit.Schedule;
import io.github.sparsevdit.Sequence;
import io.github.sparsevdit.internal.AtomicFiles;
import io.github.sparsevdit.search.CalibrationSource.Key;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
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
    String source) { // sha256 of what is captured; empty where a capture does not say
  static final String FILE = "capture.json";
  static final String FORMAT = "sparse-vdit/capture";
  static final int VERSION = 1;

  private static final Pattern POINT =
      Pattern.compile("(\\d{1,6})\\.(\\d{1,6})\\.(\\d{1,6})\\.(\\d)");
  private static final Pattern PROJECTION =
      Pattern.compile("outProjection\\.(\\d{1,6})(?:\\.([1-9]\\d{0,5}))?");
  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(SerializationFeature.INDENT_OUTPUT);

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

  private static ElementType elementType(String name) {
    ElementType type = ElementType.valueOf(name.toUpperCase(Locale.ROOT));
    if (type.tensorType() != type) {
      throw new IllegalArgumentException(
          "type \"%s\" is of no tensor; expected bf16, fp16 or fp32".formatted(name));
    }
    return type;
  }

  /** Reads and checks the manifest of a capture. */
  static CaptureManifest read(Path folder) {
    Path file = folder.resolve(FILE);
    JsonNode json;
    try {
      json = JSON.readTree(Files.readAllBytes(file));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the capture's " + file, e);
    }
    try {
      if (!FORMAT.equals(text(json, "format")) || integer(json, "version") != VERSION) {
        throw new IllegalArgumentException(
            "format \"%s\" version %s; expected \"%s\" version %d"
                .formatted(json.path("format").asText(), json.path("version"), FORMAT, VERSION));
      }
      JsonNode model = child(json, "model");
      JsonNode sequence = child(json, "sequence");
      List<Double> timesteps = new ArrayList<>();
      for (JsonNode timestep : child(json, "timesteps")) {
        timesteps.add(timestep.doubleValue());
      }
      String layout = text(json, "layout");
      if (!layout.equals("BHSD") && !layout.equals("BSHD")) {
        throw new IllegalArgumentException(
            "layout \"%s\"; expected BHSD or BSHD".formatted(layout));
      }
      ModelShape shape =
          new ModelShape(
              text(model, "name"),
              integer(model, "layers"),
              integer(model, "heads"),
              integer(model, "headDim"));
      Sequence video =
          new Sequence(
              integer(sequence, "frames"),
              integer(sequence, "height"),
              integer(sequence, "width"),
              integer(sequence, "text"),
              child(sequence, "textFirst").booleanValue());
      CaptureManifest manifest =
          new CaptureManifest(
              shape,
              video,
              elementType(text(json, "type")),
              new Schedule(timesteps),
              integer(json, "samples"),
              integer(json, "branches"),
              networkStarts(json),
              layout.equals("BSHD"),
              CapturedPart.read(json, shape, video),
              json.path("source").asText());
      if (manifest.samples < 1 || manifest.branches < 1) {
        throw new IllegalArgumentException(
            "%d samples and %d branches; at least 1 of each"
                .formatted(manifest.samples, manifest.branches));
      }
      int previous = 0;
      for (int start : manifest.networkStarts) {
        if (start <= previous || start >= timesteps.size()) {
          throw new IllegalArgumentException(
              "networkStarts %s; expected steps from 1 to %d, ascending"
                  .formatted(manifest.networkStarts, timesteps.size() - 1));
        }
        previous = start;
      }
      return manifest;
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }

  /** Writes it, whole or not at all: once, before the first point; some 1.3 KB at 50 steps. */
  void write(Path folder) {
    ObjectNode json = JSON.createObjectNode().put("format", FORMAT).put("version", VERSION);
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
    if (!source.isEmpty()) {
      json.put("source", source);
    }
    try {
      AtomicFiles.write(folder.resolve(FILE), JSON.writeValueAsBytes(json));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e); // a tree of numbers and text
    }
  }

  private static void requireBelow(int value, int end, String what, String name) {
    if (value >= end) {
      throw new IllegalArgumentException(
          "point %s: %s %d; the capture has %d".formatted(name, what, value, end));
    }
  }

  private static List<Integer> networkStarts(JsonNode json) {
    List<Integer> starts = new ArrayList<>();
    for (JsonNode start : json.path("networkStarts")) {
      if (!start.isIntegralNumber() || !start.canConvertToInt()) {
        throw new IllegalArgumentException(
            "\"networkStarts\" has %s; expected integers".formatted(start));
      }
      starts.add(start.intValue());
    }
    return List.copyOf(starts);
  }

  private static JsonNode child(JsonNode node, String name) {
    JsonNode child = node.get(name);
    if (child == null) {
      throw new IllegalArgumentException("\"" + name + "\" is missing");
    }
    return child;
  }

  private static String text(JsonNode node, String name) {
    JsonNode child = child(node, name);
    if (!child.isTextual()) {
      throw new IllegalArgumentException("\"%s\" is %s; expected text".formatted(name, child));
    }
    return child.textValue();
  }

  private static int integer(JsonNode node, String name) {
    JsonNode child = child(node, name);
    if (!child.canConvertToInt() || !child.isIntegralNumber()) {
      throw new IllegalArgumentException(
          "\"%s\" is %s; expected an integer".formatted(name, child));
    }
    return child.intValue();
  }
}
