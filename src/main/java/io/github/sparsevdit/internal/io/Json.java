package io.github.sparsevdit.internal.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
  private static final int DEPTH = 64; // of what nobody limits further
  private static final int SHOWN = 60; // characters of a value in a message

  private final String source;
  private final String path;
  private final JsonNode node;

  private Json(String source, String path, JsonNode node) {
    this.source = source;
    this.path = path;
    this.node = node;
  }

  /** Reads a file; UncheckedIOException where that fails. */
  public static Json read(Path file) {
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + file + ": " + e, e);
    }
    return parse(file.toString(), mapper(DEPTH), mapper -> mapper.readTree(bytes));
  }

  /** Reads a resource beside a class. */
  public static Json resource(Class<?> beside, String name) {
    try (InputStream in = beside.getResourceAsStream(name)) {
      byte[] bytes = in.readAllBytes();
      return parse(name, mapper(DEPTH), mapper -> mapper.readTree(bytes));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + name, e);
    }
  }

  /** Parses text; source names it in messages. */
  public static Json parse(String source, String text) {
    return parse(source, text, DEPTH);
  }

  /** The same; depth is how deep arrays and objects may nest. */
  public static Json parse(String source, String text, int depth) {
    return parse(source, mapper(depth), mapper -> mapper.readTree(text));
  }

  private interface Parsing {
    JsonNode with(JsonMapper mapper) throws IOException;
  }

  private static Json parse(String source, JsonMapper mapper, Parsing parsing) {
    try {
      JsonNode root = parsing.with(mapper);
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
    } catch (IOException e) { // bytes that are no characters
      throw new IllegalArgumentException(source + ": not valid JSON: " + e.getMessage(), e);
    }
  }

  private static JsonMapper mapper(int depth) {
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
    return JsonMapper.builder(factory)
        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
        .build();
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
    return new IllegalArgumentException(at() + " is " + shown + "; expected " + expected);
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

  /** The text of a field of this, an object; otherwise where it has none. */
  public String text(String name, String otherwise) {
    return has(name) ? field(name).text() : otherwise;
  }

  /** The finite number of a field of this, an object; otherwise where it has none. */
  public double number(String name, double otherwise) {
    return has(name) ? field(name).number() : otherwise;
  }

  /** The truth of a field of this, an object; otherwise where it has none. */
  public boolean bool(String name, boolean otherwise) {
    return has(name) ? field(name).bool() : otherwise;
  }

  /** The fields of this, an object, in the document's order. */
  public Map<String, Json> fields() {
    object();
    Map<String, Json> fields = new LinkedHashMap<>();
    node.fieldNames().forEachRemaining(name -> fields.put(name, field(name)));
    return fields;
  }

  /** Whether this is null. */
  public boolean isNull() {
    return node.isNull();
  }

  /** Whether this is an array. */
  public boolean isArray() {
    return node.isArray();
  }

  /** Whether this is a string. */
  public boolean isText() {
    return node.isTextual();
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

  /** The same; a number such as 2.0, as Python writes a float, is an integer too. */
  public int integral(int least) {
    if (!node.canConvertToExactIntegral() || !node.canConvertToInt() || node.intValue() < least) {
      throw expected("an integer of at least " + least);
    }
    return node.intValue();
  }

  /** This, a finite number. */
  public double number() {
    if (!node.isNumber() || !Double.isFinite(node.doubleValue())) {
      throw expected("a finite number");
    }
    return node.doubleValue();
  }

  /** A string's content; of anything else its JSON text. */
  public String plain() {
    return node.isTextual() ? node.textValue() : node.toString();
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
