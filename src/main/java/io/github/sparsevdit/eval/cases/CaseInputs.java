package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;

/** A case's tensors as a denoiser takes them. */
final class CaseInputs {
  private CaseInputs() {}

  /** What one row of a denoiser case's batch is conditioned on. */
  static Conditioning conditioning(TensorSource tensors, int row) {
    Tensor text = tensors.tensor("in.encoder_hidden_states").select(0, row);
    Conditioning conditioning =
        tensors.has("in.pooled_projections")
            ? Conditioning.text(
                text,
                valid(tensors.tensor("in.encoder_attention_mask").select(0, row)),
                tensors.tensor("in.pooled_projections").select(0, row),
                tensors.tensor("in.guidance").toFloats()[row])
            : Conditioning.text(text);
    if (tensors.has("in.encoder_hidden_states_image")) {
      conditioning =
          conditioning.with(
              Conditioning.Part.IMAGE,
              tensors.tensor("in.encoder_hidden_states_image").select(0, row));
    }
    if (tensors.tensor("in.timestep").rank() == 2) {
      conditioning = conditioning.with(Conditioning.Part.FIRST_FRAMES, given(tensors, row));
    }
    if (tensors.has("in.ofs")) {
      conditioning = conditioning.withOffset(tensors.tensor("in.ofs").toFloats()[0]);
    }
    return conditioning;
  }

  /**
   * The frames whose tokens have timestep 0 of their own; the case holds as many tokens as latents
   * of patches 1 x 2 x 2 have.
   */
  private static Tensor given(TensorSource tensors, int row) {
    Tensor latents = tensors.tensor("in.hidden_states").select(0, row);
    float[] timesteps = tensors.tensor("in.timestep").select(0, row).toFloats();
    int tokensPerFrame = Math.toIntExact(timesteps.length / latents.size(1));
    int frames = 0;
    while (timesteps[frames * tokensPerFrame] == 0) {
      frames++;
    }
    return latents.slice(1, 0, frames);
  }

  /** The timestep of a row: the last token's, where each has its own. */
  static float timestep(TensorSource tensors, int row) {
    float[] timesteps = tensors.tensor("in.timestep").toFloats();
    int rows = Math.toIntExact(tensors.tensor("in.timestep").size(0));
    return timesteps[(row + 1) * (timesteps.length / rows) - 1];
  }

  /** How many leading ones a mask has. */
  static int valid(Tensor mask) {
    int valid = 0;
    for (float value : mask.toFloats()) {
      valid += value == 1 ? 1 : 0;
    }
    return valid;
  }
}
