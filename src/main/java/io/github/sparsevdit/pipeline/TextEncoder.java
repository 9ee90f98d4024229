package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Collection;
import java.util.List;

/**
 * Turns prompts into what a denoiser is conditioned on. A program passes its own to {@link
 * OpenOptions#withTextEncoder}, or a jar registers a {@link Provider} with {@link
 * java.util.ServiceLoader}. Without either, it is the pipeline's own encoders, or, where it has
 * none, prompts are names in a file of embeddings.
 *
 * <p>A {@link Generator} calls it from one thread at a time, and closes it. Its tensors must stay
 * valid until then.
 */
public interface TextEncoder extends AutoCloseable {
  /** The names of the prompts, sorted, if prompts are names; empty if any text is encoded. */
  List<String> prompts();

  /**
   * Text tokens of a prompt, padding included.
   *
   * @throws IllegalArgumentException if there is no such prompt
   */
  int tokens(String prompt);

  /**
   * Encodes what will be asked for, so that a large network need be open only once, and not beside
   * the denoiser. Others encode when they are asked.
   *
   * @param texts prompts, and {@link #negativeOf} of negative ones
   * @param progress is told of the stage, and may cancel it
   */
  default void prepare(Collection<String> texts, DenoisingProgress progress) {}

  /** The text that stands for a negative prompt; null if negatives are no texts. */
  default String negativeOf(String negative) {
    return null;
  }

  /** The memory that encoding takes, apart from what is mapped from files; 0 if next to nothing. */
  default long memoryBytes() {
    return 0;
  }

  /**
   * Encodes a prompt: its text, and the family's other parts. Not the guidance scale.
   *
   * @throws IllegalArgumentException if there is no such prompt, or a part of it is missing
   */
  Conditioning encode(String prompt);

  /**
   * The unconditional branch of guidance beside a prompt.
   *
   * @param negative the negative prompt; null for the usual one
   * @throws IllegalArgumentException if it is missing, or a part of it
   */
  Conditioning encodeNegative(String prompt, String negative);

  /** What a prompt's run begins with instead of the seed's noise; null for the seed's noise. */
  default Tensor noise(String prompt) {
    return null;
  }

  /** The name of a prompt in messages: where it comes from, and what its parts are called there. */
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
