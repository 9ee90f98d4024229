package io.github.sparsevdit.internal;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A value of a JSON document and the path to it, read strictly: what is not as asked for is an
 * IllegalArgumentException that names the document, the path, the value and what was expected.
 * Duplicate fields, trailing text, deep nesting and numbers beyond a double are refused.
 */
public final class Json {
  private static final int SHOWN = 60; // characters of a value in a message

  private final String source;
  private final String path;
  private final JsonNode node;

  private Json(String source, String path, JsonNode node) {
    this.source = source;
    this.path = path;
    this.node = node;
  }

  /** Parses text; source names it in messages. depth is how deep arrays and objects may nest. */
  public static Json parse(String source, String text, int depth) {
    StreamReadConstraints limits =
        StreamReadConstraints.builder()
            .maxNestingDepth(depth)
            .maxNumberLength(100)
            .maxStringLength(1 << 26)
            .build();
    JsonFactory factory =
        JsonFactory.builder()
            .streamReadConstraints(limits)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();
    JsonMapper mapper =
        JsonMapper.builder(factory).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
    try {
      JsonNode root = mapper.readTree(text);
      if (root.isMissingNode()) {
        throw new IllegalArgumentException(source + ": empty, expected JSON");
      }
      return new Json(source, "", root);
    } catch (JsonProcessingException e) {
      JsonLocation at = e.getLocation();
      String where =
          at == null ? "" : " at line " + at.getLineNr() + ", column " + at.getColumnNr();
      throw new IllegalArgumentException(
          source + ": not valid JSON" + where + ": " + e.getOriginalMessage(), e);
    }
  }

  /**
   * text as a JSON string, quotes included. Half surrogate pairs, which UTF-8 cannot hold, are
   * escaped.
   */
  public static String quote(String text) {
    String quoted = new String(JsonStringEncoder.getInstance().quoteAsString(text));
    StringBuilder json = new StringBuilder(quoted.length() + 2).append('"');
    quoted
        .codePoints()
        .forEach(
            point -> {
              if (point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE) {
                json.append("\\u").append(Integer.toHexString(point));
              } else {
                json.appendCodePoint(point);
              }
            });
    return json.append('"').toString();
  }

  /**
   * value as a JSON number that reads back exactly; an integer without fraction where it is one.
   */
  public static String number(double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException("JSON has no number for " + value);
    }
    boolean negativeZero = value == 0 && 1 / value < 0; // which no long is
    return value == Math.rint(value) && Math.abs(value) < 1e15 && !negativeZero
        ? Long.toString((long) value)
        : Double.toString(value);
  }

  /**
   * The same tree with null where a number is NaN or infinite: JSON has none, and Jackson would
   * write a text.
   */
  public static JsonNode withoutNonNumbers(JsonNode node) {
    if (node instanceof ObjectNode object) {
      ObjectNode copy = object.objectNode();
      object.properties().forEach(e -> copy.set(e.getKey(), withoutNonNumbers(e.getValue())));
      return copy;
    }
    if (node instanceof ArrayNode array) {
      ArrayNode copy = array.arrayNode();
      array.forEach(element -> copy.add(withoutNonNumbers(element)));
      return copy;
    }
    boolean number = !node.isFloatingPointNumber() || Double.isFinite(node.doubleValue());
    return number ? node : NullNode.getInstance();
  }

  /**
   * Where this is in the document: {@code "phases[1].layers[0][3].window"}; empty for the whole.
   */
  public String path() {
    return path;
  }

  /** An exception that says what this is and what was expected. */
  public IllegalArgumentException expected(String expected) {
    String value = node.isMissingNode() ? "missing" : node.toString();
    String shown = value.length() <= SHOWN ? value : value.substring(0, SHOWN) + "…";
    return new IllegalArgumentException(at() + " is " + shown + ", expected " + expected);
  }

  /** An exception at this place with that message. */
  public IllegalArgumentException wrong(String message) {
    return new IllegalArgumentException(at() + ": " + message);
  }

  /** Refuses fields other than these; returns this, an object. */
  public Json only(String... names) {
    object();
    Set<String> unknown = new LinkedHashSet<>();
    node.fieldNames().forEachRemaining(unknown::add);
    unknown.removeAll(Set.of(names));
    if (!unknown.isEmpty()) {
      throw new IllegalArgumentException(
          at()
              + " has the unknown field \""
              + unknown.iterator().next()
              + "\", expected only "
              + String.join(", ", names));
    }
    return this;
  }

  /** The field of that name of this, an object; refuses its absence. */
  public Json field(String name) {
    object();
    Json field = new Json(source, path.isEmpty() ? name : path + "." + name, node.path(name));
    if (field.node.isMissingNode()) {
      throw field.expected("a value");
    }
    return field;
  }

  /** Whether this, an object, has that field. */
  public boolean has(String name) {
    object();
    return node.has(name);
  }

  /** The fields of this, an object, in the document's order. */
  public Map<String, Json> fields() {
    object();
    Map<String, Json> fields = new LinkedHashMap<>();
    node.fieldNames().forEachRemaining(name -> fields.put(name, field(name)));
    return fields;
  }

  /** The elements of this, an array. */
  public List<Json> array() {
    if (!node.isArray()) {
      throw expected("an array");
    }
    List<Json> elements = new ArrayList<>(node.size());
    for (int i = 0; i < node.size(); i++) {
      elements.add(new Json(source, path + "[" + i + "]", node.get(i)));
    }
    return elements;
  }

  /** This, a string. */
  public String text() {
    if (!node.isTextual()) {
      throw expected("a string");
    }
    return node.textValue();
  }

  /** This, true or false. */
  public boolean bool() {
    if (!node.isBoolean()) {
      throw expected("true or false");
    }
    return node.booleanValue();
  }

  /** This, an integer from least to most. */
  public long integer(long least, long most) {
    if (!node.isIntegralNumber()
        || !node.canConvertToLong()
        || node.longValue() < least
        || node.longValue() > most) {
      throw expected(
          most == Long.MAX_VALUE || most == Integer.MAX_VALUE
              ? "an integer of at least " + least
              : "an integer from " + least + " to " + most);
    }
    return node.longValue();
  }

  /** This, an int of at least least. */
  public int integer(int least) {
    return (int) integer(least, Integer.MAX_VALUE);
  }

  /** This, a finite number. */
  public double number() {
    if (!node.isNumber() || !Double.isFinite(node.doubleValue())) {
      throw expected("a finite number");
    }
    return node.doubleValue();
  }

  /** This as JSON text. */
  @Override
  public String toString() {
    return node.toString();
  }

  private void object() {
    if (!node.isObject()) {
      throw expected("an object");
    }
  }

  private String at() {
    return path.isEmpty() ? source : source + ": " + path;
  }
}
