package io.github.sparsevdit.model;

import io.github.sparsevdit.tensor.Tensor;

/** A linear layer: weight [out, in] and bias [out]. */
record Linear(Tensor weight, Tensor bias) {
  void apply(Operations operations, Tensor x, Tensor y) {
    operations.linear(x, weight, bias, Activation.NONE, y);
  }

  void apply(Operations operations, Tensor x, Activation activation, Tensor y) {
    operations.linear(x, weight, bias, activation, y);
  }

  int outputs() {
    return Math.toIntExact(weight.size(0));
  }
}
