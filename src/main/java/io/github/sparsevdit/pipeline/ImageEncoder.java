package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.media.Picture;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Map;

/** Turns the image a video begins with into parts of a denoiser's {@link Conditioning}. */
interface ImageEncoder {
  /**
   * What a run takes of images.
   *
   * @param first that the video begins with
   * @param last that it ends with; null for none
   * @param noise of a sampled image latent (CogVideoX), standard normal; null for that of the seed
   */
  record Images(Picture first, Picture last, Tensor noise, long seed) {}

  /**
   * Encodes.
   *
   * @param latents the shape of the run's latents
   * @return FP32 tensors, freed when nothing refers to them
   */
  Map<Part, Tensor> encode(Images images, long[] latents, DenoisingProgress progress);

  /** Whether what it gives depends on the seed. */
  boolean sampled();

  /** Whether a run must begin with an image. */
  boolean required();

  /** Why a video cannot end with a given image; null where it can. */
  String noLast();

  /** The memory that encoding takes, apart from what is mapped from files. */
  long memoryBytes(long[] latents);
}
