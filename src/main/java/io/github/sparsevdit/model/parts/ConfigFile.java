package io.github.sparsevdit.model.parts;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.github.sparsevdit.internal.GitLfs;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** A JSON configuration; what is missing or of the wrong kind is reported by name. */
public final class ConfigFile {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final String where;
  private final JsonNode root;
  private final Set<String> read = new HashSet<>();

  private ConfigFile(String where, JsonNode root) {
    if (!root.isObject()) {
      throw new IllegalArgumentException(where + ": expected a JSON object");
    }
    this.where = where;
    this.root = root;
  }

  public static ConfigFile read(Path file) {
    GitLfs.requireContent(file);
    try {
      return new ConfigFile(file.toString(), MAPPER.readTree(file.toFile()));
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": " + e.getMessage(), e);
    }
  }

  public static ConfigFile parse(String json, String where) {
    try {
      return new ConfigFile(where, MAPPER.readTree(json));
    } catch (IOException e) {
      throw new UncheckedIOException(where + ": " + e.getMessage(), e);
    }
  }

  /** All entries but those that begin with an underscore, in order of their names. */
  String fingerprint() {
    Map<String, JsonNode> entries = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : root.properties()) {
      if (!entry.getKey().startsWith("_")) {
        entries.put(entry.getKey(), entry.getValue());
      }
    }
    return entries.toString();
  }

  /** Where it came from, for messages. */
  public String where() {
    return where;
  }

  /** Whether the key is there and not null. */
  public boolean has(String key) {
    return !at(key).isMissingNode();
  }

  /** Entries that are lists, which in a model_index.json are components. */
  public void listsAreKnown() {
    root.properties().stream()
        .filter(entry -> entry.getValue().isArray())
        .forEach(entry -> read.add(entry.getKey()));
  }

  /** Whether a model_index.json names a component: a pair of library and class, neither null. */
  public boolean names(String component) {
    JsonNode node = at(component);
    return node.isArray() && node.size() == 2 && node.get(0).isTextual() && node.get(1).isTextual();
  }

  public String text(String key) {
    JsonNode node = require(key);
    if (!node.isTextual()) {
      throw wrong(key, node, "a string");
    }
    return node.textValue();
  }

  public String text(String key, String otherwise) {
    return has(key) ? text(key) : otherwise;
  }

  public int integer(String key) {
    JsonNode node = require(key);
    if (!node.canConvertToExactIntegral() || !node.canConvertToInt() || node.intValue() < 0) {
      throw wrong(key, node, "an integer of at least 0");
    }
    return node.intValue();
  }

  public int integer(String key, int otherwise) {
    return has(key) ? integer(key) : otherwise;
  }

  public double number(String key) {
    JsonNode node = require(key);
    if (!node.isNumber()) {
      throw wrong(key, node, "a number");
    }
    return node.doubleValue();
  }

  public double number(String key, double otherwise) {
    return has(key) ? number(key) : otherwise;
  }

  /** An integer of at least {@code least}; null is none. */
  public int count(String key, int otherwise, int least) {
    if (isNull(key)) {
      throw wrong(key, root.get(key), "an integer of at least " + least);
    }
    int value = integer(key, otherwise);
    if (value < least) {
      throw wrong(key, at(key), "an integer of at least " + least);
    }
    return value;
  }

  /** Whether the key is there, and null. */
  public boolean isNull(String key) {
    read.add(key);
    return root.path(key).isNull();
  }

  /** As Python takes it, null is false. */
  public boolean flag(String key, boolean otherwise) {
    if (isNull(key)) {
      return false;
    }
    if (!has(key)) {
      return otherwise;
    }
    if (!at(key).isBoolean()) {
      throw wrong(key, at(key), "true or false");
    }
    return at(key).booleanValue();
  }

  /** Three integers of at least 1. */
  public int[] triple(String key, int... otherwise) {
    if (!root.has(key)) {
      read.add(key);
      return otherwise.clone();
    }
    JsonNode node = isNull(key) ? root.get(key) : at(key);
    boolean fits = node.isArray() && node.size() == 3;
    int[] triple = new int[3];
    for (int i = 0; fits && i < 3; i++) {
      JsonNode each = node.get(i);
      fits = each.isIntegralNumber() && each.canConvertToInt() && each.intValue() > 0;
      triple[i] = each.intValue();
    }
    if (!fits) {
      throw wrong(key, node, "three integers of at least 1");
    }
    return triple;
  }

  /** A list of integers of at least 0; empty where there is none. */
  public Set<Integer> integers(String key) {
    Set<Integer> integers = new TreeSet<>();
    JsonNode node = at(key);
    if (!node.isMissingNode() && !node.isArray()) {
      throw wrong(key, node, "a list of integers");
    }
    for (JsonNode each : node) {
      if (!each.isIntegralNumber() || !each.canConvertToInt() || each.intValue() < 0) {
        throw wrong(key, node, "a list of integers of at least 0");
      }
      integers.add(each.intValue());
    }
    return integers;
  }

  /** How many entries a list has: 1 to 16. */
  public int length(String key, int otherwise) {
    JsonNode node = isNull(key) ? root.get(key) : at(key);
    if (node.isMissingNode()) {
      return otherwise;
    }
    if (!node.isArray() || node.isEmpty() || node.size() > 16) {
      throw wrong(key, node, "a list of 1 to 16 entries");
    }
    return node.size();
  }

  /** A number that is finite and above 0. */
  public double positive(String key, double otherwise) {
    if (isNull(key)) {
      throw wrong(key, root.get(key), "a number above 0");
    }
    double value = number(key, otherwise);
    if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
      throw wrong(key, at(key), "a number above 0");
    }
    return value;
  }

  /** One of some words. */
  public String oneOf(String key, String otherwise, String... words) {
    String value = text(key, otherwise);
    if (!List.of(words).contains(value)) {
      throw wrong(key, at(key), "one of " + String.join(", ", words));
    }
    return value;
  }

  /**
   * Throws unless the key has this value, be it by what diffusers takes where it is absent.
   *
   * @param absent diffusers' value for an absent key
   */
  public void require(String key, String value, String absent) {
    if (!root.has(key) && !absent.equals(value)) {
      throw new IllegalArgumentException(
          "%s: %s is absent, which means %s; only %s is supported"
              .formatted(where, key, absent, value));
    }
    boolean falsy = isNull(key) && value.equals("false"); // as Python takes it
    if (isNull(key) && !falsy) {
      throw new IllegalArgumentException(
          "%s: %s is null; only %s is supported".formatted(where, key, value));
    }
    if (has(key) && !at(key).asText().equals(value)) {
      throw new IllegalArgumentException(
          where + ": " + key + " is " + at(key) + "; only " + value + " is supported");
    }
  }

  /**
   * Throws for an entry that nothing has asked for and that {@code settings.json} does not list
   * among those that change nothing: it would be ignored in silence.
   *
   * @param className whose entries these are
   */
  public void requireAllKnown(String className) {
    JsonNode harmless = Harmless.SETTINGS.path(className);
    for (Map.Entry<String, JsonNode> entry : root.properties()) {
      String key = entry.getKey();
      boolean known = key.startsWith("_") || read.contains(key) || harmless.has(key);
      if (!known && !entry.getValue().isNull()) {
        throw new IllegalArgumentException(
            "%s: %s is %s, and %s has no such setting that is known here; take it out if it changes nothing"
                .formatted(where, key, entry.getValue(), className));
      }
    }
  }

  /** Entries that change nothing, by class, each with its reason. */
  private static final class Harmless {
    static final JsonNode SETTINGS = load();

    private static JsonNode load() {
      try (InputStream in = ConfigFile.class.getResourceAsStream("settings.json")) {
        return MAPPER.readTree(in);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private JsonNode at(String key) {
    read.add(key);
    JsonNode node = root.path(key);
    return node.isNull() ? MissingNode.getInstance() : node;
  }

  private JsonNode require(String key) {
    JsonNode node = at(key);
    if (node.isMissingNode()) {
      throw new IllegalArgumentException(where + ": " + key + " is missing");
    }
    return node;
  }

  /** What is wrong with the value of a key. */
  public IllegalArgumentException wrong(String key, String expected) {
    return wrong(key, at(key), expected);
  }

  private IllegalArgumentException wrong(String key, JsonNode node, String expected) {
    return new IllegalArgumentException(
        where + ": " + key + " is " + node + "; expected " + expected);
  }
}
