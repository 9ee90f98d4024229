package io.github.sparsevdit.model;

import io.github.sparsevdit.ModelShape;
import io.github.sparsevdit.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Files;
import java.nio.file.Path;

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

  /**
   * Of a checkpoint's folder (a transformer's, or a pipeline's that holds one in transformer/), or
   * of a config.json.
   */
  static Geometry read(Path path) {
    return of(ConfigFile.read(configFile(path)));
  }

  /** The config.json that {@link #read} reads. */
  static Path configFile(Path path) {
    if (!Files.isDirectory(path)) {
      return path;
    }
    return CheckpointFolder.of(path).config();
  }

  /** Of a config.json's text; where it came from is for messages. */
  static Geometry parse(String json, String where) {
    return of(ConfigFile.parse(json, where));
  }

  private static Geometry of(ConfigFile config) {
    return Families.of(config).geometry().apply(config);
  }

  /** A linear layer's weight and bias. */
  static long linear(long inputs, long outputs) {
    return inputs * outputs + outputs;
  }

  /** linear_2(linear_1(…)) of an embedding. */
  static long embedding(long inputs, long width) {
    return linear(inputs, width) + linear(width, width);
  }

  /** An FFN's two layers. */
  static long feedForward(long width, long hidden) {
    return linear(width, hidden) + linear(hidden, width);
  }

  /** Bytes of a chunked buffer; see {@link Workspace#chunk}. */
  static long chunkBytes(ElementType type, long rows, long width) {
    return Workspace.chunk(type, rows, width) * width * type.bytes();
  }

  /** Bytes of the patches of all video tokens, as gathered and as computed with. */
  static long patchBytes(ElementType type, long tokens, long features) {
    return tokens * features * (type == ElementType.FP32 ? 4 : 4 + type.bytes());
  }
}
