package io.github.sparsevdit.model.text;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.io.JsonText;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * CLIP's {@code vocab.json} and {@code merges.txt} as the tokenizer.json that transformers makes of
 * them: lower-cased byte pairs, whose words end in {@code </w>}.
 */
final class ClipVocabulary {
  private static final String BEGIN = "<|startoftext|>";
  private static final String END = "<|endoftext|>";
  private static final String WORDS =
      "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

  private ClipVocabulary() {}

  static String asTokenizerJson(Path vocabulary, Path merges) throws IOException {
    Map<String, Json> ids = Json.read(vocabulary).fields();
    int begin = id(ids, BEGIN, vocabulary);
    int end = id(ids, END, vocabulary);
    JsonText json = JsonText.compact().object().field("version", "1.0");
    json.field("added_tokens").array();
    addedToken(json, begin, BEGIN);
    addedToken(json, end, END);
    json.end();
    json.field("normalizer").object().field("type", "Sequence").field("normalizers").array();
    json.object().field("type", "NFC").end();
    json.object().field("type", "Replace").field("pattern").object().field("Regex", "\\s+").end();
    json.field("content", " ").end();
    json.object().field("type", "Lowercase").end();
    json.end().end();
    json.field("pre_tokenizer").object().field("type", "Sequence").field("pretokenizers").array();
    json.object().field("type", "Split").field("pattern").object().field("Regex", WORDS).end();
    json.field("behavior", "Removed").field("invert", true).end();
    json.object().field("type", "ByteLevel").field("add_prefix_space", false);
    json.field("trim_offsets", true).field("use_regex", true).end();
    json.end().end();
    json.field("post_processor").object().field("type", "RobertaProcessing");
    json.field("sep").array().value(END).value(end).end();
    json.field("cls").array().value(BEGIN).value(begin).end();
    json.field("trim_offsets", false).field("add_prefix_space", false).end();
    json.field("model").object().field("type", "BPE").field("unk_token", END);
    json.field("continuing_subword_prefix", "").field("end_of_word_suffix", "</w>");
    json.field("fuse_unk", false).field("byte_fallback", false);
    json.field("vocab").object();
    ids.forEach((token, id) -> json.field(token, id.integer(0)));
    json.end().field("merges").array();
    for (String line : Files.readAllLines(merges)) {
      boolean pair = !line.isBlank() && !line.startsWith("#version");
      if (pair) {
        json.value(line);
      }
    }
    return json.end().end().end().toString();
  }

  private static int id(Map<String, Json> ids, String token, Path vocabulary) {
    if (!ids.containsKey(token)) {
      throw new IllegalArgumentException(
          vocabulary + " has no token " + token + "; expected CLIP's vocabulary");
    }
    return ids.get(token).integer(0);
  }

  private static void addedToken(JsonText json, int id, String token) {
    json.object().field("id", id).field("content", token).field("single_word", false);
    json.field("lstrip", false).field("rstrip", false).field("normalized", false);
    json.field("special", true).end();
  }
}
