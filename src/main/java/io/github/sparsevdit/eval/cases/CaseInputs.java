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
          conditioning.withImage(
              tensors.tensor("in.encoder_hidden_states_image").select(0, row), null);
    }
    if (tensors.has("in.ofs")) {
      conditioning = conditioning.withOffset(tensors.tensor("in.ofs").toFloats()[0]);
    }
    return conditioning;
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
