package io.github.sparsevdit.model;

import io.github.sparsevdit.tensor.Tensor;

/**
 * What a denoiser is told besides the latents and the timestep. The tensors are host memory of any
 * element type and stay the caller's.
 *
 * @param text the prompt's embedding, [tokens, features]
 * @param textValid how many of the text tokens are real, where a family masks padding
 *     (HunyuanVideo); −1 for all
 * @param pooled HunyuanVideo: the pooled embedding, [features]; else null
 * @param guidance HunyuanVideo: the embedded guidance scale × 1000; NaN where a model has none
 * @param image Wan I2V: the image's CLIP features, [tokens, features]; else null
 * @param latents image-to-video: the latents that follow the noisy ones along the channels, of the
 *     same shape but for those; else null
 * @param firstFrames Wan2.2 TI2V: the frames the video begins with, [C, frames, H, W], fewer than
 *     the latents': they stand in for the latents' first ones, at timestep 0; else null
 * @param offset CogVideoX1.5 I2V: the {@code ofs} that is embedded; NaN for the 2 of the published
 *     pipeline, or where a model has none
 */
public record Conditioning(
    Tensor text,
    int textValid,
    Tensor pooled,
    double guidance,
    Tensor image,
    Tensor latents,
    Tensor firstFrames,
    double offset) {
  public Conditioning {
    requireRank("text", text, 2);
    if (textValid < -1 || textValid > text.size(0)) {
      throw new IllegalArgumentException(
          "textValid must lie in [0, " + text.size(0) + "], or be -1 for all: " + textValid);
    }
    if (pooled != null) {
      requireRank("pooled", pooled, 1);
    }
    if (image != null) {
      requireRank("image", image, 2);
    }
    if (latents != null) {
      requireRank("latents", latents, 4);
    }
    if (firstFrames != null) {
      requireRank("firstFrames", firstFrames, 4);
    }
  }

  /** A prompt's embedding [tokens, features] alone. */
  public static Conditioning text(Tensor text) {
    return new Conditioning(text, -1, null, Double.NaN, null, null, null, Double.NaN);
  }

  /**
   * The same with padding after the first textValid tokens, a pooled embedding, and guidance × 1000
   * (HunyuanVideo).
   */
  public static Conditioning text(Tensor text, int textValid, Tensor pooled, double guidance) {
    return new Conditioning(text, textValid, pooled, guidance, null, null, null, Double.NaN);
  }

  /** The same with an image's features (null for none) and latents (null for none). */
  public Conditioning withImage(Tensor image, Tensor latents) {
    return new Conditioning(text, textValid, pooled, guidance, image, latents, firstFrames, offset);
  }

  /** The same with the frames the video begins with (Wan2.2 TI2V). */
  public Conditioning withFirstFrames(Tensor firstFrames) {
    return new Conditioning(text, textValid, pooled, guidance, image, latents, firstFrames, offset);
  }

  /** The same with CogVideoX1.5's {@code ofs}. */
  public Conditioning withOffset(double offset) {
    return new Conditioning(text, textValid, pooled, guidance, image, latents, firstFrames, offset);
  }

  /** How many text tokens there are, padding included. */
  public int textTokens() {
    return Math.toIntExact(text.size(0));
  }

  private static void requireRank(String name, Tensor tensor, int rank) {
    if (tensor == null || tensor.rank() != rank) {
      throw new IllegalArgumentException(name + " must have " + rank + " dimensions: " + tensor);
    }
  }
}
