package io.github.sparsevdit.model.text;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;

/**
 * Hugging Face's own tokenizers, by DJL's binding. The library unpacks its native part into
 * DJL_CACHE_DIR, or {@code .djl.ai} in the home folder; nothing is downloaded.
 */
final class HuggingFaceTokens implements AutoCloseable {
  /** Which native part DJL takes: the one in its jar, and never one it would download. */
  private static final String FLAVOUR = "RUST_FLAVOR";

  /** How DJL begins its message where the native part does not load. */
  private static final String NOT_LOADED = "Failed to load Huggingface native library";

  private final HuggingFaceTokenizer tokenizer;

  private HuggingFaceTokens(HuggingFaceTokenizer tokenizer) {
    this.tokenizer = tokenizer;
  }

  /**
   * @param json a tokenizer.json's content
   * @param folder for messages
   * @param length that texts are cut to
   */
  static HuggingFaceTokens open(String json, Path folder, int length) {
    if (System.getenv(FLAVOUR) == null && System.getProperty(FLAVOUR) == null) {
      System.setProperty(FLAVOUR, "cpu");
    }
    Map<String, String> options =
        Map.of(
            "addSpecialTokens", "true",
            "truncation", "true",
            "padding", "false",
            "maxLength", Integer.toString(length));
    try {
      return new HuggingFaceTokens(
          HuggingFaceTokenizer.newInstance(
              new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)), options));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the tokenizer in " + folder + ": " + e, e);
    } catch (NoClassDefFoundError e) {
      throw new IllegalArgumentException(
          "a prompt as text needs ai.djl.huggingface:tokenizers:0.38.0 on the class path; without"
              + " it, prompts are names of embeddings",
          e);
    } catch (LinkageError e) {
      throw notLoaded(e);
    } catch (RuntimeException e) {
      if (String.valueOf(e.getMessage()).startsWith(NOT_LOADED)) {
        throw notLoaded(e);
      }
      throw new IllegalArgumentException(
          "%s: the tokenizer is not what its library reads: %s".formatted(folder, e.getMessage()),
          e);
    }
  }

  private static IllegalArgumentException notLoaded(Throwable e) {
    String cache = System.getenv("DJL_CACHE_DIR");
    return new IllegalArgumentException(
        "the native part of ai.djl.huggingface:tokenizers does not load: %s; it is unpacked into %s, which must be writable: set DJL_CACHE_DIR to a folder that is"
            .formatted(
                e.getCause() == null ? e.getMessage() : e.getCause().getMessage(),
                cache == null ? ".djl.ai in the home folder" : "DJL_CACHE_DIR, " + cache),
        e);
  }

  /** With special tokens, cut to the length. */
  int[] encode(String text) {
    return ints(tokenizer.encode(text, true, false).getIds());
  }

  /** Without special tokens but those that the text spells. */
  int[] plain(String text) {
    return ints(tokenizer.encode(text, false, false).getIds());
  }

  private static int[] ints(long[] ids) {
    int[] ints = new int[ids.length];
    for (int i = 0; i < ids.length; i++) {
      ints[i] = Math.toIntExact(ids[i]);
    }
    return ints;
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
