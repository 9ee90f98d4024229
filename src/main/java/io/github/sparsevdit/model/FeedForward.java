package io.github.sparsevdit.model;

import io.github.sparsevdit.tensor.Tensor;

/** out(activation(in(x))). */
record FeedForward(Linear in, Linear out, Activation activation) {
  /**
   * @param name of the module that holds net.0.proj and net.2
   */
  static FeedForward of(
      Weights weights, String name, int width, int hidden, Activation activation) {
    return new FeedForward(
        weights.linear(name + ".net.0.proj", width, hidden),
        weights.linear(name + ".net.2", hidden, width),
        activation);
  }

  /** y may be x. */
  void apply(Operations ops, Tensor x, Tensor hidden, Tensor y) {
    in.apply(ops, x, activation, hidden);
    out.apply(ops, hidden, y);
  }
}
