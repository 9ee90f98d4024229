package io.github.sparsevdit.model.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.internal.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Cleaning against ftfy itself: tools/cases/prompt_cleaning.py writes what it gives. */
class PromptCleaningTest {
  private static final Path CLEANED = Path.of("src/test/resources/prompts/cleaned.json");

  /**
   * ftfy decides by a table of characters whether a text was misread; {@link Mojibake} by what it
   * would have been. They differ where either guesses: Latin text that was read as Cyrillic or
   * Greek, and a few single characters.
   */
  private static final double MOST_DIFFERENT = 0.02;

  @Test
  void cleansAsFtfyDoes() {
    List<Json> all = Json.read(CLEANED).array();
    List<String> different = new ArrayList<>();
    for (Json each : all) {
      String cleaned = PromptCleaning.clean(each.field("text").text());
      if (!cleaned.equals(each.field("clean").text())) {
        assertTrue(
            each.field("kind").text().matches("mojibake .*|part|twice"),
            "only guesses may differ: " + each);
        different.add(each + " became " + cleaned);
      }
    }
    assertTrue(all.size() > 300, () -> all.size() + " texts");
    assertTrue(different.size() <= MOST_DIFFERENT * all.size(), () -> String.join("\n", different));
  }

  /** What people write is not taken for misread text, though its bytes are UTF-8. */
  @ParameterizedTest
  @CsvSource({"SÄ’ MAN", "VOILÀ — ÇA", "3×4", "„Ä“", "CAFÉ®", "PAPÅ» 20"})
  void textThatIsRightStays(String text) {
    String straight = text.replace('’', '\'').replace('„', '"').replace('“', '"');
    assertEquals(straight, PromptCleaning.clean(text));
  }
}
