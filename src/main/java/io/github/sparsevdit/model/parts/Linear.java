package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.tensor.Tensor;

/**
 * A linear layer: weight [out, in] and bias [out] where they are computed with.
 *
 * @param hostWeight the weight where Java can read it
 */
public record Linear(Tensor weight, Tensor bias, Tensor hostWeight) {
  public void apply(Operations operations, Tensor x, Tensor y) {
    operations.linear(x, weight, bias, Activation.NONE, y);
  }

  public void apply(Operations operations, Tensor x, Activation activation, Tensor y) {
    operations.linear(x, weight, bias, activation, y);
  }

  public int outputs() {
    return Math.toIntExact(weight.size(0));
  }
}
