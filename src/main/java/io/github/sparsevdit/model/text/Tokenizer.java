package io.github.sparsevdit.model.text;

import io.github.sparsevdit.internal.io.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Turns texts into {@link Tokens} as a pipeline's tokenizer folder says: {@code tokenizer.json}, or
 * the older files that it was made of ({@code spiece.model} of T5, {@code vocab.json} and {@code
 * merges.txt} of CLIP). Thread-safe.
 */
public final class Tokenizer implements AutoCloseable {
  private static final String WHOLE = "tokenizer.json";
  private static final String CONFIG = "tokenizer_config.json";
  private static final String SENTENCE_PIECE = "spiece.model";
  private static final String VOCABULARY = "vocab.json";
  private static final String MERGES = "merges.txt";
  private static final String USUAL_PADDING = "<pad>";

  private final Path folder;
  private final int length;
  private final HuggingFaceTokens tokens;
  private final int padding;

  private Tokenizer(Path folder, int length, HuggingFaceTokens tokens, int padding) {
    this.folder = folder;
    this.length = length;
    this.tokens = tokens;
    this.padding = padding;
  }

  /**
   * Opens a tokenizer's folder.
   *
   * @param length that texts are padded or cut to, special tokens included
   * @throws IllegalArgumentException if the folder has no tokenizer that is read, or the library
   *     that reads it is not on the class path
   */
  public static Tokenizer open(Path folder, int length) {
    Path config = folder.resolve(CONFIG);
    Json settings = Files.exists(config) ? Json.read(config) : Json.parse(CONFIG, "{}");
    String side = settings.text("padding_side", "right");
    if (!side.equals("right")) {
      throw settings.field("padding_side").expected("\"right\", as the pipelines pad");
    }
    HuggingFaceTokens tokens = HuggingFaceTokens.open(json(folder), folder, length);
    try {
      String padding = settings.has("pad_token") ? padToken(settings) : USUAL_PADDING;
      int[] id = tokens.plain(padding);
      if (id.length != 1) {
        throw new IllegalArgumentException(
            "%s: the padding token %s is no token of its vocabulary".formatted(folder, padding));
      }
      return new Tokenizer(folder, length, tokens, id[0]);
    } catch (RuntimeException | Error failure) {
      tokens.close();
      throw failure;
    }
  }

  private static String padToken(Json settings) {
    Json token = settings.field("pad_token");
    if (token.isNull()) {
      return USUAL_PADDING;
    }
    return token.isText() ? token.text() : token.field("content").text();
  }

  /** The tokenizer as tokenizer.json has it. */
  private static String json(Path folder) {
    try {
      if (Files.exists(folder.resolve(WHOLE))) {
        return Files.readString(folder.resolve(WHOLE));
      }
      if (Files.exists(folder.resolve(SENTENCE_PIECE))) {
        return SentencePiece.read(folder.resolve(SENTENCE_PIECE)).asTokenizerJson();
      }
      if (Files.exists(folder.resolve(VOCABULARY)) && Files.exists(folder.resolve(MERGES))) {
        return ClipVocabulary.asTokenizerJson(folder.resolve(VOCABULARY), folder.resolve(MERGES));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the tokenizer in " + folder + ": " + e, e);
    }
    throw new IllegalArgumentException(
        "%s has no tokenizer: expected %s, %s, or %s and %s; download the folder again, or write it with transformers' save_pretrained"
            .formatted(folder, WHOLE, SENTENCE_PIECE, VOCABULARY, MERGES));
  }

  /** The text's tokens. */
  public Tokens encode(String text) {
    int[] ids = tokens.encode(text);
    if (ids.length > length) {
      throw new IllegalStateException(
          "%s: %d tokens of a text cut to %d".formatted(folder, ids.length, length));
    }
    int[] padded = Arrays.copyOf(ids, length);
    Arrays.fill(padded, ids.length, length, padding);
    return new Tokens(padded, ids.length);
  }

  /** The token that fills texts up. */
  public int padding() {
    return padding;
  }

  @Override
  public void close() {
    tokens.close();
  }
}
