package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.tensor.Tensor;

/**
 * Latents as the tokens of a denoiser: each patch through one linear layer.
 *
 * @param channels that the model takes: the latents', and those beside them
 */
public record PatchEmbedding(Patches patches, Linear linear, int channels) {
  /**
   * Writes a token for each patch.
   *
   * @param latents FP32 [C, T, H, W], any strides, as the others
   * @param first take the place of the latents' first frames; null for none
   * @param beside follow the latents along the channels; null for none
   * @param out [tokens, width]
   */
  public void embed(
      Operations ops, Workspace w, Tensor latents, Tensor first, Tensor beside, Tensor out) {
    gather(latents, w, 0);
    if (first != null) {
      gather(first, w, 0);
    }
    if (beside != null) {
      gather(beside, w, Math.toIntExact(latents.size(0)));
    }
    ops.load(w.patches, w.patchInput);
    linear.apply(ops, w.patchInput, out);
  }

  private void gather(Tensor latents, Workspace w, int fromChannel) {
    patches.gather(latents, w.patches, Patches.Features.CHANNEL_FIRST, fromChannel, channels);
  }
}
