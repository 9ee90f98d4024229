package io.github.sparsevdit.table;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.io.JsonText;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Patterns as in tables: {@code {"mode": "diagonal", "window": 6240, "anchors": [0]}}. */
public final class PatternJson {
  private PatternJson() {}

  /**
   * Reads a pattern: {@code {"mode": "diagonal", "window": 6240}}.
   *
   * @throws IllegalArgumentException naming the field and what was expected
   */
  public static Pattern parse(String json) {
    return read(Json.parse("pattern", json, 4));
  }

  /** A pattern as in tables. */
  public static String toJson(Pattern pattern) {
    JsonText json = JsonText.readable().object();
    write(pattern, json);
    return json.end().toString();
  }

  /** Reads the pattern of an object, which may have those other fields too. */
  static Pattern read(Json object, String... otherFields) {
    Mode mode = mode(object.field("mode"));
    List<String> allowed = new ArrayList<>(List.of("mode"));
    allowed.addAll(
        switch (mode) {
          case FULL, SKIP -> List.of();
          case DIAGONAL, MULTI_DIAGONAL -> List.of("window", "anchors");
          case VERTICAL_STRIPE -> List.of("blocks", "order", "tile");
          case BLOCKS -> List.of("lists", "order", "tile");
        });
    allowed.addAll(Arrays.asList(otherFields));
    object.only(allowed.toArray(String[]::new));
    return switch (mode) {
      case FULL -> Pattern.full();
      case SKIP -> Pattern.skip();
      case DIAGONAL ->
          new Pattern(mode, Order.FRAME_MAJOR, window(object), anchors(object), List.of());
      case MULTI_DIAGONAL ->
          new Pattern(mode, Order.TOKEN_MAJOR, window(object), anchors(object), List.of());
      case VERTICAL_STRIPE ->
          new Pattern(mode, order(object), 0, blocks(object.field("blocks")), List.of());
      case BLOCKS ->
          new Pattern(
              mode,
              order(object),
              0,
              List.of(),
              object.field("lists").array().stream().map(PatternJson::blocks).toList());
    };
  }

  private static Mode mode(Json name) {
    String text = name.text();
    try {
      return Mode.ofJson(text);
    } catch (IllegalArgumentException e) {
      throw name.wrong(e.getMessage());
    }
  }

  /** Writes the fields of a pattern, without braces. */
  static void write(Pattern pattern, JsonText to) {
    to.field("mode", pattern.mode().json());
    switch (pattern.mode()) {
      case null -> throw new IllegalStateException("no mode"); // with it, all modes are required
      case FULL, SKIP -> {}
      case DIAGONAL, MULTI_DIAGONAL -> {
        to.field("window", pattern.window());
        if (!pattern.blocks().isEmpty()) {
          to.field("anchors", pattern.blocks());
        }
      }
      case VERTICAL_STRIPE -> {
        writeOrder(pattern.order(), to);
        to.field("blocks", pattern.blocks());
      }
      case BLOCKS -> {
        writeOrder(pattern.order(), to);
        to.field("lists").array();
        pattern.lists().forEach(to::values);
        to.end();
      }
    }
  }

  private static void writeOrder(Order order, JsonText to) {
    if (!order.equals(Order.FRAME_MAJOR)) {
      to.field("order", order.kind().json());
    }
    if (order.kind() == Order.Kind.TILE_MAJOR) {
      to.field("tile", List.of(order.tileT(), order.tileH(), order.tileW()));
    }
  }

  private static long window(Json object) {
    return object.field("window").integer(0, Long.MAX_VALUE);
  }

  private static List<Integer> anchors(Json object) {
    return object.has("anchors") ? blocks(object.field("anchors")) : List.of();
  }

  private static List<Integer> blocks(Json array) {
    List<Integer> blocks = new ArrayList<>();
    int least = 0; // strictly ascending: each at least one more than the one before
    for (Json element : array.array()) {
      int block = element.integer(least);
      blocks.add(block);
      least = Math.min(block, Integer.MAX_VALUE - 1) + 1;
    }
    return blocks;
  }

  private static Order order(Json object) {
    if (!object.has("order")) {
      return withoutTile(object, Order.FRAME_MAJOR);
    }
    Json value = object.field("order");
    return switch (value.text()) {
      case "frame-major" -> withoutTile(object, Order.FRAME_MAJOR);
      case "token-major" -> withoutTile(object, Order.TOKEN_MAJOR);
      case "tile-major" -> {
        List<Json> tile = object.field("tile").array();
        if (tile.size() != 3) {
          throw object.field("tile").expected("three sizes: t, h, w");
        }
        yield Order.tileMajor(
            tile.get(0).integer(1), tile.get(1).integer(1), tile.get(2).integer(1));
      }
      default -> throw value.expected("frame-major, token-major or tile-major");
    };
  }

  private static Order withoutTile(Json object, Order order) {
    if (object.has("tile")) {
      throw object.field("tile").expected("none: the order is " + order);
    }
    return order;
  }
}
