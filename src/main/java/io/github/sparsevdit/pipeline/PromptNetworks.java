package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.text.Tokenizer;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;

/**
 * A pipeline's own text encoders. They are opened when a text is new, and closed before anything
 * else runs: what they gave is stored for the texts used last.
 */
abstract class PromptNetworks implements TextEncoder {
  private static final int MOST_TEXTS = 64; // that are stored, at least: 8 MB each for Wan

  private final int tokens;
  private final EmbeddingCache cache; // null for none
  private final Map<String, Conditioning> encoded = new LinkedHashMap<>(16, 0.75f, true);
  private int most = MOST_TEXTS;
  private final Resources owned = new Resources();

  /**
   * @param tokens that every text is padded or cut to
   * @param components of the pipeline that an embedding depends on
   */
  PromptNetworks(PipelineParts.Place place, int tokens, String... components) {
    this.tokens = tokens;
    List<Path> folders = Arrays.stream(components).map(place::of).toList();
    cache =
        place.embeddings() == null
            ? null
            : new EmbeddingCache(place.embeddings(), folders, place.type(), tokens);
  }

  /** The networks while they are open. */
  interface Open extends AutoCloseable {
    /** Encodes one text. */
    Conditioning encode(String text);

    @Override
    void close();
  }

  abstract Open open();

  @Override
  public final List<String> prompts() {
    return List.of();
  }

  @Override
  public final int tokens(String prompt) {
    return tokens;
  }

  @Override
  public final synchronized void prepare(Collection<String> texts, DenoisingProgress progress) {
    most = texts.size() == 1 ? most : Math.max(MOST_TEXTS, texts.size());
    while (encoded.size() > most) {
      encoded.remove(encoded.keySet().iterator().next()); // not used for the longest time
    }
    Set<String> missing = new LinkedHashSet<>(texts);
    missing.removeAll(encoded.keySet());
    missing.removeIf(this::readCached);
    if (missing.isEmpty()) {
      return;
    }
    progress.stage(DenoisingProgress.Stage.TEXT, 0, missing.size());
    int done = 0;
    try (Open networks = open()) {
      for (String text : missing) {
        if (progress.cancelled()) {
          throw new CancellationException("cancelled while the text was encoded");
        }
        encoded.put(text, networks.encode(text));
        if (cache != null) {
          cache.write(text, encoded.get(text));
        }
        progress.stage(DenoisingProgress.Stage.TEXT, ++done, missing.size());
      }
    }
  }

  /** Whether a text was encoded by an earlier program. */
  private boolean readCached(String text) {
    Conditioning found =
        cache == null
            ? null
            : cache.read(text, tensor -> stored(tensor.toFloats(), tensor.shape()));
    if (found != null) {
      encoded.put(text, found);
    }
    return found != null;
  }

  @Override
  public final Conditioning encode(String prompt) {
    return encoded(prompt);
  }

  /** The published pipelines' negative prompt is the empty text. */
  @Override
  public final Conditioning encodeNegative(String prompt, String negative) {
    return encoded(negativeOf(negative));
  }

  @Override
  public final String negativeOf(String negative) {
    return negative == null ? "" : negative;
  }

  private synchronized Conditioning encoded(String text) {
    prepare(List.of(text), DenoisingProgress.NONE);
    return encoded.get(text);
  }

  /** A tensor that is freed when nothing refers to it. */
  static Tensor stored(float[] values, long... shape) {
    return Tensor.ofFloats(Arena.ofAuto(), values, shape);
  }

  @Override
  public final String where(String prompt) {
    return "prompt \"" + prompt + "\"";
  }

  /** Opens a tokenizer that is closed with this. */
  final Tokenizer tokenizer(PipelineParts.Place place, String component, int length) {
    return owned.add(Tokenizer.open(place.of(component), length));
  }

  @Override
  public final void close() {
    owned.close();
  }
}
