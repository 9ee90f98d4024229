package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.model.text.PromptCleaning;
import io.github.sparsevdit.model.text.Tokenizer;
import io.github.sparsevdit.model.text.Tokens;
import java.nio.file.Path;
import java.util.Arrays;

/** Texts and the tokens of a tokenizer, or what Wan's cleaning makes of them. */
record TokenizerCase(Path path) implements ReferenceCase {
  static final String CASES = "cases.json";
  static final String CLEANING = "prompt_clean.json";

  @Override
  public String name() {
    return path.getFileName().toString();
  }

  @Override
  public String family() {
    return "tokenizers";
  }

  @Override
  public CaseResult run(Backend backend) {
    return path.endsWith(CLEANING) ? cleaning() : tokens();
  }

  private CaseResult cleaning() {
    int count = 0;
    for (Json each : Json.read(path).field("cases").array()) {
      String cleaned = PromptCleaning.clean(each.field("text").text());
      if (!cleaned.equals(each.field("clean").text())) {
        return CaseResult.failed(
            "%s becomes \"%s\"; expected %s"
                .formatted(each.field("text"), cleaned, each.field("clean")));
      }
      count++;
    }
    return CaseResult.of(0, 0, count + " texts, exactly");
  }

  private CaseResult tokens() {
    Json all = Json.read(path.resolve(CASES));
    int count = 0;
    try (Tokenizer tokenizer = Tokenizer.open(path, all.field("max_length").integer(1))) {
      int padding = all.field("pad_id").integer(0);
      for (Json each : all.field("cases").array()) {
        Json text = each.has("templated") ? each.field("templated") : each.field("text");
        Tokens tokens = tokenizer.encode(text.text());
        int[] expected = each.field("ids").array().stream().mapToInt(id -> id.integer(0)).toArray();
        int[] padded = Arrays.copyOf(expected, tokens.ids().length);
        Arrays.fill(padded, expected.length, padded.length, padding);
        if (!Arrays.equals(padded, tokens.ids()) || tokens.valid() != expected.length) {
          return CaseResult.failed(
              "%s becomes %s, of which %d are valid; expected %s"
                  .formatted(
                      text,
                      Arrays.toString(tokens.ids()),
                      tokens.valid(),
                      Arrays.toString(expected)));
        }
        count++;
      }
    }
    return CaseResult.of(0, 0, count + " texts, exactly");
  }
}
