package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * Turns latents into a video: what a VAE's decoder does. A program passes its own to {@link
 * OpenOptions#withLatentDecoder}, or a jar registers a {@link Provider} with {@link
 * java.util.ServiceLoader}. Without either, it is the pipeline's own VAE, and for latents that are
 * pixels none.
 *
 * <p>A {@link Generator} calls it from one thread at a time, and closes it.
 */
public interface LatentDecoder extends AutoCloseable {
  /**
   * Decodes.
   *
   * @param latents FP32, host memory, as the denoiser gives them; the caller's
   */
  Video decode(Tensor latents);

  /** The same, telling of progress; cancelled as a run is. */
  default Video decode(Tensor latents, DenoisingProgress progress) {
    return decode(latents);
  }

  /**
   * The memory that decoding takes, apart from what is mapped from files; 0 if next to nothing.
   *
   * @param latents their shape, as the denoiser gives them
   */
  default long memoryBytes(long[] latents) {
    return 0;
  }

  /** Frees its resources. */
  @Override
  void close();

  /** Makes decoders for the checkpoints it knows. */
  interface Provider {
    /**
     * @param type that the denoiser computes in
     * @return null if this provider does not know the folder
     */
    LatentDecoder open(CheckpointFolder folder, Backend backend, ElementType type);
  }
}
