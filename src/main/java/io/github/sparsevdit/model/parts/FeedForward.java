package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.tensor.Tensor;

/** out(activation(in(x))). */
public record FeedForward(Linear in, Linear out, Activation activation) {
  /**
   * @param name of the module that holds net.0.proj and net.2
   */
  public static FeedForward of(
      Weights weights, String name, int width, int hidden, Activation activation) {
    return new FeedForward(
        weights.linear(name + ".net.0.proj", width, hidden),
        weights.linear(name + ".net.2", hidden, width),
        activation);
  }

  /**
   * Computes as many rows at a time as hidden has: at full length it would be the largest buffer of
   * all, 2 GB for a 14 B model at 720p.
   *
   * @param hidden [any number of rows, hidden width], overwritten
   * @param y may be x
   */
  public void apply(Operations ops, Tensor x, Tensor hidden, Tensor y) {
    long rows = x.size(0);
    long step = hidden.size(0);
    for (long from = 0; from < rows; from += step) {
      long to = Math.min(rows, from + step);
      Tensor part = to - from == step ? hidden : hidden.slice(0, 0, to - from);
      in.apply(ops, x.slice(0, from, to), activation, part);
      out.apply(ops, part, y.slice(0, from, to));
    }
  }
}
