package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;

/**
 * A pipeline's own text encoders. They are opened when a text is new, and closed before anything
 * else runs: what they gave is stored for as long as this is open.
 */
abstract class PromptNetworks implements TextEncoder {
  private final int tokens;
  private final Map<String, Conditioning> encoded = new HashMap<>();
  private final Arena arena = Arena.ofShared();

  /**
   * @param tokens that every text is padded or cut to
   */
  PromptNetworks(int tokens) {
    this.tokens = tokens;
  }

  /** The networks while they are open. */
  interface Open extends AutoCloseable {
    /** Encodes one text; the tensors are valid as long as {@link PromptNetworks} is open. */
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
    Set<String> missing = new LinkedHashSet<>(texts);
    missing.removeAll(encoded.keySet());
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
        progress.stage(DenoisingProgress.Stage.TEXT, ++done, missing.size());
      }
    }
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

  /** A tensor that is valid as long as this is open. */
  final Tensor stored(float[] values, long... shape) {
    Tensor tensor =
        Tensor.of(arena.allocate((long) values.length * Float.BYTES, 64), ElementType.FP32, shape);
    return tensor.copyFrom(values);
  }

  @Override
  public final String where(String prompt) {
    return "prompt \"" + prompt + "\"";
  }

  @Override
  public final void close() {
    arena.close();
  }
}
