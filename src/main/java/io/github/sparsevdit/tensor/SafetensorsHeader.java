package io.github.sparsevdit.tensor;

import io.github.sparsevdit.internal.io.Json;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The header of a safetensors file, checked: every tensor's bytes are those its shape and dtype
 * take, they lie inside the file, overlap nowhere and leave no hole.
 *
 * @param entries by name, in the header's order
 */
record SafetensorsHeader(Map<String, Entry> entries, Map<String, String> metadata) {
  /** The format's own limit. */
  static final long MAX_BYTES = 100_000_000;

  private static final String METADATA = "__metadata__";

  /** The format's element types and their bytes. */
  private static final Map<String, Integer> DTYPES =
      Map.ofEntries(
          Map.entry("BOOL", 1),
          Map.entry("U8", 1),
          Map.entry("I8", 1),
          Map.entry("F8_E5M2", 1),
          Map.entry("F8_E4M3", 1),
          Map.entry("F8_E8M0", 1),
          Map.entry("I16", 2),
          Map.entry("U16", 2),
          Map.entry("F16", 2),
          Map.entry("BF16", 2),
          Map.entry("I32", 4),
          Map.entry("U32", 4),
          Map.entry("F32", 4),
          Map.entry("F64", 8),
          Map.entry("C64", 8),
          Map.entry("I64", 8),
          Map.entry("U64", 8));

  /** A tensor: begin and end are bytes from the end of the header. */
  record Entry(String dtype, long[] shape, long begin, long end) {}

  /**
   * Reads the header of a file.
   *
   * @param source names the file in messages
   * @param text the header's bytes
   * @param dataBytes bytes of the file after the header
   */
  static SafetensorsHeader parse(String source, ByteBuffer text, long dataBytes) {
    String decoded;
    try {
      decoded = StandardCharsets.UTF_8.newDecoder().decode(text).toString();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(source + ": the header is not UTF-8", e);
    }
    Json root = Json.parse(source, decoded, 4);
    try {
      return of(source, root, dataBytes);
    } catch (IllegalArgumentException refused) {
      requireWhole(source, root, dataBytes);
      throw refused;
    }
  }

  private static SafetensorsHeader of(String source, Json root, long dataBytes) {
    Map<String, Entry> entries = new LinkedHashMap<>();
    Map<String, String> metadata = new LinkedHashMap<>();
    root.fields()
        .forEach(
            (name, value) -> {
              if (name.equals(METADATA)) {
                value.fields().forEach((key, content) -> metadata.put(key, content.text()));
              } else {
                entries.put(name, entry(value, dataBytes));
              }
            });
    requireTiling(source, entries, dataBytes);
    return new SafetensorsHeader(entries, metadata);
  }

  /**
   * Throws, with what is missing, where the header would be right if the file were longer. A header
   * that lies is none of those.
   */
  private static void requireWhole(String source, Json root, long dataBytes) {
    long[] end = {0};
    try {
      root.fields()
          .forEach(
              (name, value) -> {
                if (!name.equals(METADATA)) {
                  end[0] = Math.max(end[0], entry(value, Long.MAX_VALUE).end());
                }
              });
      of(source, root, end[0]);
    } catch (IllegalArgumentException lies) {
      return;
    }
    if (end[0] > dataBytes) {
      throw new IllegalArgumentException(
          "%s is cut short: %d of the %d bytes of its tensors are missing; %s"
              .formatted(source, end[0] - dataBytes, end[0], SafetensorsFile.CUT_SHORT));
    }
  }

  private static Entry entry(Json value, long dataBytes) {
    value.only("dtype", "shape", "data_offsets");
    String dtype = value.field("dtype").text();
    Integer bytes = DTYPES.get(dtype);
    if (bytes == null) {
      throw value
          .field("dtype")
          .expected("one of " + String.join(", ", DTYPES.keySet().stream().sorted().toList()));
    }
    long[] shape =
        value.field("shape").array().stream()
            .mapToLong(size -> size.integer(0, Long.MAX_VALUE))
            .toArray();
    List<Json> offsets = value.field("data_offsets").array();
    if (offsets.size() != 2) {
      throw value.field("data_offsets").expected("two offsets");
    }
    long begin = offsets.get(0).integer(0, dataBytes);
    long end = offsets.get(1).integer(begin, dataBytes);
    long size = bytes;
    boolean none = false;
    for (long length : shape) {
      try {
        size = Math.multiplyExact(size, Math.max(length, 1)); // strides must not overflow either
      } catch (ArithmeticException e) {
        throw value.field("shape").expected("fewer than 2^63 bytes");
      }
      none |= length == 0;
    }
    size = none ? 0 : size;
    if (size != end - begin) {
      throw value
          .field("data_offsets")
          .expected(size + " bytes, which shape and dtype take, not " + (end - begin));
    }
    return new Entry(dtype, shape, begin, end);
  }

  private static void requireTiling(String source, Map<String, Entry> entries, long dataBytes) {
    List<Map.Entry<String, Entry>> sorted = new ArrayList<>(entries.entrySet());
    sorted.sort(
        Comparator.comparingLong((Map.Entry<String, Entry> e) -> e.getValue().begin())
            .thenComparingLong(e -> e.getValue().end()));
    long at = 0;
    String previous = null;
    for (Map.Entry<String, Entry> next : sorted) {
      long begin = next.getValue().begin();
      if (begin < at) {
        throw new IllegalArgumentException(
            source
                + ": "
                + next.getKey()
                + " begins at byte "
                + begin
                + ", before "
                + previous
                + " ends at "
                + at
                + ": they overlap");
      }
      requireNoHole(source, at, begin);
      at = next.getValue().end();
      previous = next.getKey();
    }
    requireNoHole(source, at, dataBytes);
  }

  private static void requireNoHole(String source, long from, long to) {
    if (from != to) {
      throw new IllegalArgumentException(
          source + ": bytes " + from + " to " + to + " of the data belong to no tensor");
    }
  }
}
