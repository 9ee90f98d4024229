package io.github.sparsevdit.model;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;

/**
 * A denoiser's sizes as its configuration gives them, and what follows from them without any
 * weights: parameters, arithmetic and memory of a forward pass. Immutable.
 */
public interface Geometry {
  /** diffusers' class name. */
  String className();

  /** Layers, heads and head dim of the self-attention, under a name. */
  ModelShape shape(String name);

  /** Numbers in one network's weights. */
  long parameters();

  /** Text tokens a prompt is padded to in the published pipelines. */
  int usualText();

  /** Tokens of an image's features in the published pipelines; 0 for a model without them. */
  int usualImage();

  /** Frames, rows and columns of the latents that make a token. */
  int[] patch();

  /** Whether the guidance scale is embedded, so that a step is one forward pass. */
  default boolean embedsGuidance() {
    return false;
  }

  /** Channels of the latents that a run begins from. */
  int latentChannels();

  /**
   * The self-attention's sequence for latents of that size; frames that do not fill the last patch
   * are padded.
   *
   * @param text tokens of a prompt; those that self-attention sees are in the sequence
   */
  Sequence sequence(int frames, int height, int width, int text);

  /**
   * Arithmetic of one forward pass.
   *
   * @param text tokens of the prompt
   * @param image tokens of an image's features
   */
  ForwardCost cost(Sequence sequence, int text, int image);

  /**
   * Bytes of the buffers of one forward pass: what the residual stream, Q, K, V, a part of the
   * FFN's rows and the embeddings take.
   *
   * @param type that is computed in
   */
  long activationBytes(ElementType type, Sequence sequence, int text, int image);

  /** Channels of the image latents that a forward pass takes beside the noisy ones; 0 for none. */
  default int imageLatentChannels() {
    return 0;
  }
}
