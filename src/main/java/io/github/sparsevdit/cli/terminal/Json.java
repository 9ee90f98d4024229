package io.github.sparsevdit.cli.terminal;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.internal.io.JsonText;
import java.io.PrintStream;

/** JSON as the commands print and store it. */
public final class Json {
  private Json() {}

  public static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  /** What is no number, such as the PSNR of equal videos, is null. */
  public static String text(JsonNode node) {
    return JsonText.pretty(node) + "\n";
  }

  public static void print(PrintStream out, JsonNode node) {
    out.print(text(node));
    out.flush();
  }
}
