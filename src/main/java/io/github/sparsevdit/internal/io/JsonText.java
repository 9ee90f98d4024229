package io.github.sparsevdit.internal.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.MinimalPrettyPrinter;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.List;

/**
 * Writes JSON: compact, or as a person reads it, with a space behind commas and colons and line
 * breaks where they are asked for. What no UTF-8 can hold is escaped, and a number reads back
 * exactly. Not thread-safe.
 */
public final class JsonText {
  private static final JsonFactory FACTORY = new JsonFactory();

  private final StringWriter text = new StringWriter();
  private final JsonGenerator generator;
  private final String space;
  private String gap; // a line break that stands instead of the next space; null for none

  private JsonText(String space) {
    this.space = space;
    generator = valueOf(() -> FACTORY.createGenerator(text));
    generator.setPrettyPrinter(new Spaces());
  }

  /** Without any white space. */
  public static JsonText compact() {
    return new JsonText("");
  }

  /** With spaces, on one line but for the breaks of {@link #line}. */
  public static JsonText readable() {
    return new JsonText(" ");
  }

  /** Begins an object. */
  public JsonText object() {
    return write(generator::writeStartObject);
  }

  /** Begins an array. */
  public JsonText array() {
    return write(generator::writeStartArray);
  }

  /** Ends the object or array that was begun last. */
  public JsonText end() {
    return write(
        generator.getOutputContext().inObject()
            ? generator::writeEndObject
            : generator::writeEndArray);
  }

  /** The next field, element or bracket begins a line, indent spaces in. */
  public JsonText line(int indent) {
    gap = "\n" + " ".repeat(indent);
    return this;
  }

  /** A field's name; its value follows. */
  public JsonText field(String name) {
    return write(() -> generator.writeFieldName(name));
  }

  /** A field. */
  public JsonText field(String name, String value) {
    return field(name).value(value);
  }

  /** A field. */
  public JsonText field(String name, long value) {
    return field(name).value(value);
  }

  /** A field. */
  public JsonText field(String name, double value) {
    return field(name).value(value);
  }

  /** A field. */
  public JsonText field(String name, boolean value) {
    return write(() -> generator.writeBooleanField(name, value));
  }

  /** A field of numbers. */
  public JsonText field(String name, List<? extends Number> values) {
    return field(name).values(values);
  }

  /** A string. */
  public JsonText value(String value) {
    return write(() -> generator.writeString(value));
  }

  /** An integer. */
  public JsonText value(long value) {
    return write(() -> generator.writeNumber(value));
  }

  /** A finite number; one without fraction as an integer. */
  public JsonText value(double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException("JSON has no number for " + value);
    }
    boolean negativeZero = value == 0 && 1 / value < 0; // which no long is
    boolean whole = value == Math.rint(value) && Math.abs(value) < 1e15 && !negativeZero;
    return whole ? value((long) value) : write(() -> generator.writeNumber(value));
  }

  /** An array of doubles or integers. */
  public JsonText values(List<? extends Number> values) {
    array();
    for (Number value : values) {
      if (value instanceof Double) {
        value(value.doubleValue());
      } else {
        value(value.longValue());
      }
    }
    return end();
  }

  /** What was written. Half surrogate pairs, which UTF-8 cannot hold, are escaped. */
  @Override
  public String toString() {
    write(generator::flush);
    String json = text.toString();
    if (json.codePoints().noneMatch(JsonText::half)) {
      return json;
    }
    StringBuilder escaped = new StringBuilder();
    json.codePoints()
        .forEach(
            point -> {
              if (half(point)) {
                escaped.append("\\u").append(Integer.toHexString(point));
              } else {
                escaped.appendCodePoint(point);
              }
            });
    return escaped.toString();
  }

  private static boolean half(int point) {
    return point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE;
  }

  /**
   * A tree, indented, with null where a number is NaN or infinite: JSON has none, and Jackson would
   * write a text.
   */
  public static String pretty(JsonNode node) {
    return withoutNonNumbers(node).toPrettyString();
  }

  private static JsonNode withoutNonNumbers(JsonNode node) {
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

  private final class Spaces extends MinimalPrettyPrinter {
    private static final long serialVersionUID = 1;

    private void gap(JsonGenerator to, String otherwise) throws IOException {
      to.writeRaw(gap == null ? otherwise : gap);
      gap = null;
    }

    @Override
    public void beforeObjectEntries(JsonGenerator to) throws IOException {
      gap(to, "");
    }

    @Override
    public void beforeArrayValues(JsonGenerator to) throws IOException {
      gap(to, "");
    }

    @Override
    public void writeObjectFieldValueSeparator(JsonGenerator to) throws IOException {
      to.writeRaw(':');
      to.writeRaw(space);
    }

    @Override
    public void writeObjectEntrySeparator(JsonGenerator to) throws IOException {
      to.writeRaw(',');
      gap(to, space);
    }

    @Override
    public void writeArrayValueSeparator(JsonGenerator to) throws IOException {
      to.writeRaw(',');
      gap(to, space);
    }

    @Override
    public void writeEndObject(JsonGenerator to, int entries) throws IOException {
      gap(to, "");
      to.writeRaw('}');
    }

    @Override
    public void writeEndArray(JsonGenerator to, int values) throws IOException {
      gap(to, "");
      to.writeRaw(']');
    }
  }

  private interface Writing {
    void run() throws IOException;
  }

  private interface Making<T> {
    T get() throws IOException;
  }

  private JsonText write(Writing writing) {
    valueOf(
        () -> {
          writing.run();
          return null;
        });
    return this;
  }

  private static <T> T valueOf(Making<T> making) {
    try {
      return making.get();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // writes memory: none, if calls are in order
    }
  }
}
