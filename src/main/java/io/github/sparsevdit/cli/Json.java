package io.github.sparsevdit.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;

/** JSON as the commands print and store it. */
final class Json {
  private static final ObjectMapper MAPPER =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  private Json() {}

  static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  /** What is no number, such as the PSNR of equal videos, is null. */
  static String text(JsonNode node) {
    try {
      return MAPPER.writeValueAsString(io.github.sparsevdit.internal.Json.withoutNonNumbers(node))
          + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree of plain values always has a text", e);
    }
  }

  static void print(PrintStream out, JsonNode node) {
    out.print(text(node));
    out.flush();
  }
}
