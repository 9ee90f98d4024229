package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;

/**
 * Turns prompts into what a denoiser is conditioned on. A program gives one of its own to {@link
 * OpenOptions#withTextEncoder}, or a jar registers a {@link Provider} with {@link
 * java.util.ServiceLoader}. Without either, prompts are names in a file of embeddings.
 *
 * <p>A {@link Generator} calls it from one thread at a time, and closes it. Tensors that it gives
 * live until then.
 */
public interface TextEncoder extends AutoCloseable {
  /** The prompts there are, sorted, where they are names; empty where any text is encoded. */
  List<String> prompts();

  /**
   * Text tokens of a prompt, padding included.
   *
   * @throws IllegalArgumentException if there is no such prompt
   */
  int tokens(String prompt);

  /**
   * What a prompt says: its text, and whatever else the family takes. Not the guidance scale.
   *
   * @throws IllegalArgumentException if there is no such prompt, or something of it is missing
   */
  Conditioning encode(String prompt);

  /**
   * The unconditional branch of guidance beside a prompt.
   *
   * @param negative the negative prompt; null for the usual one
   * @throws IllegalArgumentException if it is missing, or something of it
   */
  Conditioning encodeNegative(String prompt, String negative);

  /** What a prompt's run begins with instead of the seed's noise; null where there is nothing. */
  default Tensor noise(String prompt) {
    return null;
  }

  /** How messages call a prompt: where it comes from, and what its parts are called there. */
  default String where(String prompt) {
    return "prompt '" + prompt + "'";
  }

  /** The same of a prompt's negative. */
  default String whereNegative(String prompt) {
    return "the negative of " + where(prompt);
  }

  /** Frees its resources. */
  @Override
  void close();

  /** Makes text encoders for the checkpoints it knows. */
  interface Provider {
    /**
     * @param type that the denoiser computes in
     * @return null if this provider does not know the folder
     */
    TextEncoder open(CheckpointFolder folder, Backend backend, ElementType type);
  }
}
