package io.github.sparsevdit.model.text;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.io.JsonText;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * T5's {@code spiece.model}, a protocol buffer of sentencepiece (sentencepiece_model.proto), as the
 * tokenizer.json that transformers makes of it: a unigram model with T5's sentinels behind.
 */
final class SentencePiece {
  // Fields of ModelProto, SentencePiece, TrainerSpec and NormalizerSpec.
  private static final int PIECES = 1;
  private static final int TRAINER = 2;
  private static final int NORMALIZER = 3;
  private static final int PIECE = 1;
  private static final int SCORE = 2;
  private static final int MODEL_TYPE = 3;
  private static final int CHARACTER_MAP = 2;
  private static final int UNIGRAM = 1;

  private static final int UNKNOWN = 2; // of every T5
  private static final String END = "</s>";

  /** A piece and its log probability. */
  private record Piece(String text, float score) {}

  private final Path file;
  private final List<Piece> pieces = new ArrayList<>();
  private byte[] characterMap = {};
  private int modelType = UNIGRAM;

  private SentencePiece(Path file) {
    this.file = file;
  }

  static SentencePiece read(Path file) throws IOException {
    SentencePiece model = new SentencePiece(file);
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    try {
      model.readModel(bytes);
    } catch (RuntimeException e) { // whatever a damaged buffer leads to
      throw new IllegalArgumentException(
          file + " is damaged or no sentencepiece model; download it again", e);
    }
    if (model.modelType != UNIGRAM || model.pieces.size() <= UNKNOWN) {
      throw new IllegalArgumentException(
          "%s is a sentencepiece model of type %d with %d pieces; expected a unigram model, as T5's"
              .formatted(file, model.modelType, model.pieces.size()));
    }
    return model;
  }

  private void readModel(ByteBuffer bytes) {
    while (bytes.hasRemaining()) {
      Field field = Field.next(bytes);
      switch (field.number) {
        case PIECES -> pieces.add(piece(field.content));
        case TRAINER -> readTrainer(field.content);
        case NORMALIZER -> readNormalizer(field.content);
        default -> {} // nothing that a tokenizer needs
      }
    }
  }

  private static Piece piece(ByteBuffer bytes) {
    String text = "";
    float score = 0;
    while (bytes.hasRemaining()) {
      Field field = Field.next(bytes);
      if (field.number == PIECE) {
        text = StandardCharsets.UTF_8.decode(field.content).toString();
      } else if (field.number == SCORE) {
        score = Float.intBitsToFloat((int) field.value);
      }
    }
    return new Piece(text, score);
  }

  private void readTrainer(ByteBuffer bytes) {
    while (bytes.hasRemaining()) {
      Field field = Field.next(bytes);
      if (field.number == MODEL_TYPE) {
        modelType = (int) field.value;
      }
    }
  }

  private void readNormalizer(ByteBuffer bytes) {
    while (bytes.hasRemaining()) {
      Field field = Field.next(bytes);
      if (field.number == CHARACTER_MAP) {
        characterMap = new byte[field.content.remaining()];
        field.content.get(characterMap);
      }
    }
  }

  /**
   * A field of a protocol buffer.
   *
   * @param value of a number
   * @param content of a string, bytes or a message; null of a number
   */
  private record Field(int number, long value, ByteBuffer content) {
    static Field next(ByteBuffer bytes) {
      long key = varint(bytes);
      int number = (int) (key >>> 3);
      return switch ((int) key & 7) {
        case 0 -> new Field(number, varint(bytes), null);
        case 1 -> new Field(number, bytes.getLong(), null);
        case 2 -> {
          int length = Math.toIntExact(varint(bytes));
          ByteBuffer content = bytes.slice(bytes.position(), length).order(ByteOrder.LITTLE_ENDIAN);
          bytes.position(bytes.position() + length);
          yield new Field(number, 0, content);
        }
        case 5 -> new Field(number, bytes.getInt(), null);
        default -> throw new IllegalArgumentException("wire type " + (key & 7));
      };
    }

    private static long varint(ByteBuffer bytes) {
      long value = 0;
      for (int shift = 0; shift < 64; shift += 7) {
        byte next = bytes.get();
        value |= (long) (next & 0x7f) << shift;
        if (next >= 0) {
          return value;
        }
      }
      throw new IllegalArgumentException("a number of more than 64 bits");
    }
  }

  /** As transformers' T5 tokenizer is. */
  String asTokenizerJson() {
    Map<Integer, String> added = added();
    JsonText json = JsonText.compact().object().field("version", "1.0");
    json.field("added_tokens").array();
    added.forEach((id, token) -> addedToken(json, id, token));
    json.end();
    json.field("normalizer").object().field("type", "Sequence").field("normalizers").array();
    if (characterMap.length > 0) {
      json.object()
          .field("type", "Precompiled")
          .field("precompiled_charsmap", Base64.getEncoder().encodeToString(characterMap))
          .end();
    }
    json.end().end();
    json.field("pre_tokenizer").object().field("type", "Sequence").field("pretokenizers").array();
    json.object().field("type", "WhitespaceSplit").end();
    json.object()
        .field("type", "Metaspace")
        .field("replacement", "\u2581")
        .field("prepend_scheme", "always")
        .field("split", true)
        .end();
    json.end().end();
    ending(json, id(END));
    json.field("model").object().field("type", "Unigram").field("unk_id", UNKNOWN);
    json.field("byte_fallback", false).field("vocab").array();
    for (Piece piece : pieces) {
      json.array().value(piece.text).value(piece.score).end();
    }
    for (int id = pieces.size(); added.containsKey(id); id++) {
      json.array().value(added.get(id)).value(0.0).end();
    }
    return json.end().end().end().toString();
  }

  private int id(String text) {
    for (int i = 0; i < pieces.size(); i++) {
      if (pieces.get(i).text.equals(text)) {
        return i;
      }
    }
    throw new IllegalArgumentException(
        file + " has no piece " + text + ", with which T5 ends every text");
  }

  private static void addedToken(JsonText json, int id, String token) {
    json.object().field("id", id).field("content", token);
    for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
      json.field(flag, false);
    }
    json.field("special", true).end();
  }

  private static void ending(JsonText json, int id) {
    json.field("post_processor").object().field("type", "TemplateProcessing");
    json.field("single").array();
    json.object().field("Sequence").object().field("id", "A").field("type_id", 0).end().end();
    json.object().field("SpecialToken").object().field("id", END).field("type_id", 0).end().end();
    json.end();
    json.field("pair").array();
    json.object().field("Sequence").object().field("id", "A").field("type_id", 0).end().end();
    json.object().field("SpecialToken").object().field("id", END).field("type_id", 0).end().end();
    json.object().field("Sequence").object().field("id", "B").field("type_id", 0).end().end();
    json.object().field("SpecialToken").object().field("id", END).field("type_id", 0).end().end();
    json.end();
    json.field("special_tokens").object().field(END).object().field("id", END);
    json.field("ids", List.of(id)).field("tokens").array().value(END).end().end().end().end();
  }

  /** Padding, end and unknown, and the sentinels that added_tokens.json lists. */
  private Map<Integer, String> added() {
    Map<Integer, String> added = new TreeMap<>();
    for (int i = 0; i <= UNKNOWN; i++) {
      added.put(i, pieces.get(i).text);
    }
    Path listed = file.resolveSibling("added_tokens.json");
    if (Files.exists(listed)) {
      Map<String, Json> tokens = new LinkedHashMap<>(Json.read(listed).fields());
      tokens.forEach((token, id) -> added.put(id.integer(0), token));
    }
    return added;
  }
}
