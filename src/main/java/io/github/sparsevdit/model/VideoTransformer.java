package io.github.sparsevdit.model;

import io.github.sparsevdit.internal.io.Sha256;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * A video diffusion transformer: predicts from noisy latents and a timestep the direction to
 * denoise them in.
 *
 * <p>{@code forward} may be called from any thread, one call at a time. Buffers for the last
 * sequence are reused, so calls on the same sequence make next to no garbage.
 */
public interface VideoTransformer extends AutoCloseable {
  /** Layers, heads and head dim of the self-attention. */
  ModelShape shape();

  /** What weights and activations are: BF16, or FP32. */
  ElementType type();

  /**
   * The shape of the latents [C, T, H, W] (CogVideoX: [T, C, H, W]) that forward gives back for
   * latents of such a shape.
   */
  long[] outputShape(long[] latentShape);

  /**
   * The self-attention's sequence for latents of that shape; IllegalArgumentException where they do
   * not fit the patches.
   */
  Sequence sequence(long[] latentShape, int textTokens);

  /** The same for a family whose self-attention sees no text. */
  default Sequence sequence(long[] latentShape) {
    return sequence(latentShape, 0);
  }

  /**
   * Throws IllegalArgumentException, with what was expected, unless {@link #forward} takes latents
   * of that shape with this conditioning.
   */
  void check(long[] latentShape, Conditioning conditioning);

  /**
   * Whether the guidance scale is embedded ({@link Conditioning#guidance}): there is no
   * unconditional branch then.
   */
  default boolean embedsGuidance() {
    return false;
  }

  /**
   * One forward pass over one video.
   *
   * @param latents FP32, host memory, contiguous: [C, T, H, W], or [T, C, H, W] for CogVideoX
   * @param timestep in [0, 1000]
   * @param attention computes the self-attention of each layer, in order
   * @param out FP32, host memory, contiguous, of {@link #outputShape}
   */
  void forward(
      Tensor latents,
      double timestep,
      Conditioning conditioning,
      AttentionFunction attention,
      Tensor out);

  /**
   * A layer's output projection at a timestep as stored, [d, heads · headDim]; this object's. Null
   * where the layer has none of its own.
   */
  Tensor outProjection(double timestep, int layer);

  /**
   * The timestep below which another network computes, with layers alike but weights of its own; 0
   * where one network serves all.
   */
  default double boundary() {
    return 0;
  }

  /**
   * Identifies the checkpoint: a digest of the configuration and of all weights' names, types,
   * shapes and values. Reads them all when it is first asked for.
   */
  String fingerprint();

  /**
   * SHA-256 of {@link #fingerprint}, 64 hex digits, as a dispatch table has it. Reads all weights
   * when it is first asked for.
   */
  default String checkpointSha256() {
    return new Sha256().update(fingerprint()).hex();
  }

  /**
   * The name of a weight, of the network that serves a timestep, that contains NaN or an infinity;
   * null where none does. Reads them all.
   */
  default String weightNotFinite(double timestep) {
    return null;
  }

  /** Frees the buffers of the last sequence; the next call makes new ones. */
  default void releaseBuffers() {}

  /** Frees its buffers and closes its weights; waits for a running forward. May be called twice. */
  @Override
  void close();
}
