package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.internal.io.GitLfs;
import io.github.sparsevdit.internal.io.Json;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** A JSON configuration; what is missing or of the wrong kind is reported by name. */
public final class ConfigFile {
  private final String where;
  private final Json root;
  private final Set<String> read = new HashSet<>();

  private ConfigFile(String where, Json root) {
    this.where = where;
    this.root = root;
    root.fields(); // refuses what is no object
  }

  public static ConfigFile read(Path file) {
    GitLfs.requireContent(file);
    return new ConfigFile(file.toString(), Json.read(file));
  }

  public static ConfigFile parse(String json, String where) {
    return new ConfigFile(where, Json.parse(where, json));
  }

  /** All entries but those that begin with an underscore, in order of their names. */
  String fingerprint() {
    Map<String, Json> entries = new TreeMap<>(root.fields());
    entries.keySet().removeIf(key -> key.startsWith("_"));
    return entries.toString();
  }

  /** An entry that is itself a configuration. */
  public ConfigFile object(String key) {
    return new ConfigFile(where + ": " + key, require(key));
  }

  /** The configuration as JSON. */
  public String json() {
    return root.toString();
  }

  /** Where it came from, for messages. */
  public String where() {
    return where;
  }

  /** Whether the key is there and not null. */
  public boolean has(String key) {
    read.add(key);
    return root.has(key) && !root.field(key).isNull();
  }

  /** Entries that are lists, which in a model_index.json are components. */
  public void listsAreKnown() {
    root.fields()
        .forEach(
            (key, value) -> {
              if (value.isArray()) {
                read.add(key);
              }
            });
  }

  /** Whether a model_index.json names a component: a pair of library and class, neither null. */
  public boolean names(String component) {
    if (!has(component) || !root.field(component).isArray()) {
      return false;
    }
    List<Json> pair = root.field(component).array();
    return pair.size() == 2 && pair.stream().allMatch(Json::isText);
  }

  public String text(String key) {
    return require(key).text();
  }

  public String text(String key, String otherwise) {
    return has(key) ? text(key) : otherwise;
  }

  public int integer(String key) {
    return require(key).integral(0);
  }

  public int integer(String key, int otherwise) {
    return has(key) ? integer(key) : otherwise;
  }

  public double number(String key) {
    return require(key).number();
  }

  public double number(String key, double otherwise) {
    return has(key) ? number(key) : otherwise;
  }

  /** An integer of at least {@code least}; null is none. */
  public int count(String key, int otherwise, int least) {
    int value = there(key) ? root.field(key).integral(least) : otherwise;
    if (value < least) {
      throw wrong(key, "an integer of at least " + least);
    }
    return value;
  }

  /** Whether the key is there, and null. */
  public boolean isNull(String key) {
    return there(key) && root.field(key).isNull();
  }

  /** As Python takes it, null is false. */
  public boolean flag(String key, boolean otherwise) {
    return there(key) ? has(key) && root.field(key).bool() : otherwise;
  }

  /** Three integers of at least 1. */
  public int[] triple(String key, int... otherwise) {
    if (!there(key)) {
      return otherwise.clone();
    }
    int[] triple = integers(root.field(key), 1, "three integers of at least 1");
    if (triple.length != 3) {
      throw wrong(key, "three integers of at least 1");
    }
    return triple;
  }

  /** A list of integers of at least 0; empty where there is none. */
  public Set<Integer> integers(String key) {
    Set<Integer> integers = new TreeSet<>();
    if (has(key)) {
      for (int each : integers(root.field(key), 0, "a list of integers of at least 0")) {
        integers.add(each);
      }
    }
    return integers;
  }

  private static int[] integers(Json list, int least, String expected) {
    try {
      return list.array().stream().mapToInt(each -> each.integer(least)).toArray();
    } catch (IllegalArgumentException e) {
      throw list.expected(expected);
    }
  }

  /** A list of integers of at least 1; null or absent is otherwise. */
  public List<Integer> counts(String key, List<Integer> otherwise) {
    if (!has(key)) {
      return otherwise;
    }
    return Arrays.stream(integers(root.field(key), 1, "a list of integers of at least 1"))
        .boxed()
        .toList();
  }

  /** A list of true and false; null or absent is otherwise. */
  public List<Boolean> flags(String key, List<Boolean> otherwise) {
    return has(key) ? root.field(key).array().stream().map(Json::bool).toList() : otherwise;
  }

  /** A list of numbers; null or absent is otherwise. */
  public List<Double> numbers(String key, List<Double> otherwise) {
    return has(key) ? root.field(key).array().stream().map(Json::number).toList() : otherwise;
  }

  /** Throws unless a list, if there is one, holds nothing but this word. */
  public void requireEach(String key, String word) {
    if (has(key) && !root.field(key).array().stream().allMatch(each -> each.text().equals(word))) {
      throw wrong(key, "a list of nothing but " + word);
    }
  }

  /** Throws unless a list, if there is one, is empty. */
  public void requireEmpty(String key) {
    if (has(key) && !root.field(key).array().isEmpty()) {
      throw wrong(key, "an empty list; nothing else is supported");
    }
  }

  /** How many entries a list has: 1 to 16. */
  public int length(String key, int otherwise) {
    if (!there(key)) {
      return otherwise;
    }
    Json list = root.field(key);
    int length = list.isArray() ? list.array().size() : 0;
    if (length < 1 || length > 16) {
      throw list.expected("a list of 1 to 16 entries");
    }
    return length;
  }

  /** A number that is finite and above 0. */
  public double positive(String key, double otherwise) {
    double value = there(key) ? root.field(key).number() : otherwise;
    if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
      throw wrong(key, "a number above 0");
    }
    return value;
  }

  /** One of some words. */
  public String oneOf(String key, String otherwise, String... words) {
    String value = text(key, otherwise);
    if (!List.of(words).contains(value)) {
      throw wrong(key, "one of " + String.join(", ", words));
    }
    return value;
  }

  /**
   * Throws unless the key has this value, be it by what diffusers takes where it is absent.
   *
   * @param absent diffusers' value for an absent key
   */
  public void require(String key, String value, String absent) {
    if (!there(key) && !absent.equals(value)) {
      throw new IllegalArgumentException(
          "%s: %s is absent, which means %s; only %s is supported"
              .formatted(where, key, absent, value));
    }
    boolean falsy = isNull(key) && value.equals("false"); // as Python takes it
    if (isNull(key) && !falsy) {
      throw new IllegalArgumentException(
          "%s: %s is null; only %s is supported".formatted(where, key, value));
    }
    if (has(key) && !root.field(key).plain().equals(value)) {
      throw new IllegalArgumentException(
          where + ": " + key + " is " + root.field(key) + "; only " + value + " is supported");
    }
  }

  /**
   * Throws for an entry that nothing has asked for and that {@code settings.json} does not list
   * among those that change nothing: it would be ignored in silence.
   *
   * @param className whose entries these are
   */
  public void requireAllKnown(String className) {
    Json all = Harmless.SETTINGS;
    Set<String> harmless = all.has(className) ? all.field(className).fields().keySet() : Set.of();
    for (Map.Entry<String, Json> entry : root.fields().entrySet()) {
      String key = entry.getKey();
      boolean known = key.startsWith("_") || read.contains(key) || harmless.contains(key);
      if (!known && !entry.getValue().isNull()) {
        throw new IllegalArgumentException(
            "%s: %s is %s, and %s has no such setting that is known here; take it out if it changes nothing"
                .formatted(where, key, entry.getValue(), className));
      }
    }
  }

  /** Entries that change nothing, by class, each with its reason. */
  private static final class Harmless {
    static final Json SETTINGS = Json.resource(ConfigFile.class, "settings.json");
  }

  /** Whether the key is there, null or not. */
  private boolean there(String key) {
    read.add(key);
    return root.has(key);
  }

  private Json require(String key) {
    if (!has(key)) {
      throw new IllegalArgumentException(where + ": " + key + " is missing");
    }
    return root.field(key);
  }

  /** What is wrong with the value of a key. */
  public IllegalArgumentException wrong(String key, String expected) {
    return there(key)
        ? root.field(key).expected(expected)
        : new IllegalArgumentException(where + ": " + key + " is missing; expected " + expected);
  }
}
