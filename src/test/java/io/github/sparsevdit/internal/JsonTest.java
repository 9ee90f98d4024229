package io.github.sparsevdit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.io.JsonText;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"a\": 1} x | not valid JSON at line 1, column 10",
        "{\"a\": 1, \"a\": 2} | Duplicate field 'a'",
        "{\"a\": NaN} | not valid JSON",
        "{\"a\": | not valid JSON",
        "{\"a\": 01} | not valid JSON",
        "'' | empty",
      })
  void documentsThatAreRefused(String text, String because) throws IOException {
    Path file = Files.writeString(folder.resolve("config.json"), text);
    for (Consumer<String> reading :
        List.<Consumer<String>>of(t -> Json.parse(file.toString(), t), t -> Json.read(file))) {
      var e = assertThrows(IllegalArgumentException.class, () -> reading.accept(text));
      assertTrue(e.getMessage().startsWith(file + ": "), e::getMessage);
      assertTrue(e.getMessage().contains(because), e::getMessage);
    }
  }

  @Test
  void filesThatAreRefused() throws IOException {
    Path file = Files.write(folder.resolve("config.json"), new byte[] {'"', (byte) 0xff, '"'});
    var e = assertThrows(IllegalArgumentException.class, () -> Json.read(file));
    assertTrue(e.getMessage().startsWith(file + ": not valid JSON"), e::getMessage);
    Path absent = folder.resolve("absent.json");
    var missing = assertThrows(UncheckedIOException.class, () -> Json.read(absent));
    assertTrue(missing.getMessage().startsWith("cannot read " + absent), missing::getMessage);
  }

  @Test
  void valuesThatAreRefusedAreNamed() {
    Json json =
        Json.parse("f.json", "{\"a\": {\"b\": [1, \"x\", 1e999, 2.0, 2.5, null, 4000000000]}}");
    List<Json> b = json.field("a").field("b").array();
    refused("f.json: a.c is missing; expected a value", () -> json.field("a").field("c"));
    refused("f.json: a.b[0] is 1; expected a string", () -> b.get(0).text());
    refused("f.json: a.b[0] is 1; expected an integer of at least 2", () -> b.get(0).integer(2));
    refused("f.json: a.b[0] is 1; expected true or false", () -> b.get(0).bool());
    refused("f.json: a.b[0] is 1; expected an array", () -> b.get(0).array());
    refused("f.json: a.b[0] is 1; expected an object", () -> b.get(0).fields());
    refused("f.json: a.b[1] is \"x\"; expected a finite number", () -> b.get(1).number());
    refused("f.json: a.b[2] is \"Infinity\"; expected a finite", () -> b.get(2).number());
    refused("f.json: a.b[3] is 2.0; expected an integer of at least 0", () -> b.get(3).integer(0));
    assertEquals(2, b.get(3).integral(0));
    refused("f.json: a.b[4] is 2.5; expected an integer of at least 0", () -> b.get(4).integral(0));
    refused("f.json: a.b[5] is null; expected a finite number", () -> b.get(5).number());
    refused("f.json: a.b[6] is 4000000000; expected an integer", () -> b.get(6).integer(0));
    refused("f.json: a.b[6] is 4000000000; expected an integer", () -> b.get(6).integral(0));
    refused("f.json: a has the unknown field \"b\"", () -> json.field("a").only("c"));
  }

  private static void refused(String message, Runnable reading) {
    var e = assertThrows(IllegalArgumentException.class, reading::run);
    assertTrue(e.getMessage().startsWith(message), e::getMessage);
  }

  @Test
  void textIsWrittenToTheLetter() {
    JsonText json = JsonText.readable().object().field("a", 1L).field("b", 0.5).line(1);
    json.field("c").array().line(2).object().field("d", "\"\n\u0001é").end();
    json.line(2).value(3.0).end().field("e", List.of(1, 2)).line(0).end();
    assertEquals(
        "{\"a\": 1, \"b\": 0.5,\n \"c\": [\n  {\"d\": \"\\\"\\n\\u0001é\"},\n  3], \"e\": [1, 2]\n}",
        json.toString());
    assertEquals(
        "{\"a\":[0.1,1],\"b\":{}}",
        JsonText.compact()
            .object()
            .field("a", List.of(0.1, 1.0))
            .field("b")
            .object()
            .end()
            .end()
            .toString());
  }

  @Test
  void numbersReadBackExactly() {
    for (double value :
        new double[] {0, -0.0, 0.1, 1e15, 1e300, Double.MIN_VALUE, -3, 1L << 53, 1.0 / 3}) {
      String text = JsonText.compact().value(value).toString();
      assertEquals(value, Double.parseDouble(text), text);
      assertEquals(value, Json.parse("number", text).number(), text);
    }
    assertEquals(
        "[9007199254740993]", JsonText.compact().values(List.of((1L << 53) + 1)).toString());
    assertThrows(IllegalArgumentException.class, () -> JsonText.compact().value(Double.NaN));
  }

  @Test
  void halfSurrogatePairsAreEscaped() {
    String odd = "a\ud83d b\ude00 \ud83d\ude00";
    String text = JsonText.compact().object().field("a", odd).end().toString();
    assertTrue(text.contains("\\ud83d b\\ude00 \ud83d\ude00"), text);
    assertEquals(odd, Json.parse("text", text).field("a").text());
  }
}
