package io.github.sparsevdit.model;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.Tensor;

/**
 * Operations that share out the time from {@link #start} to {@link #stop}: to matrix products, to
 * the other operations, and to what happens between operations, which in a block is attention.
 */
final class TimedOperations extends Operations {
  private long products;
  private long others;
  private long between;
  private long last; // when the previous operation ended

  TimedOperations(Backend backend) {
    super(backend);
  }

  void start() {
    products = 0;
    others = 0;
    between = 0;
    last = System.nanoTime();
  }

  /** What comes after the last operation is no attention. */
  void stop() {
    others += System.nanoTime() - last;
  }

  double productMillis() {
    return 1e-6 * products;
  }

  double attentionMillis() {
    return 1e-6 * between;
  }

  double otherMillis() {
    return 1e-6 * others;
  }

  private long begin() {
    long now = System.nanoTime();
    between += now - last;
    return now;
  }

  private long end(long begin) {
    last = System.nanoTime();
    return last - begin;
  }

  @Override
  void linear(Tensor x, Tensor weight, Tensor bias, Activation activation, Tensor y) {
    long begin = begin();
    super.linear(x, weight, bias, activation, y);
    products += end(begin);
  }

  @Override
  void layerNorm(
      Tensor x, Tensor weight, Tensor bias, Tensor scale, Tensor shift, float epsilon, Tensor y) {
    long begin = begin();
    super.layerNorm(x, weight, bias, scale, shift, epsilon, y);
    others += end(begin);
  }

  @Override
  void layerNormGroups(Tensor x, Tensor weight, Tensor bias, long group, float epsilon, Tensor y) {
    long begin = begin();
    super.layerNormGroups(x, weight, bias, group, epsilon, y);
    others += end(begin);
  }

  @Override
  void rmsNorm(Tensor x, Tensor weight, long group, float epsilon, Tensor y) {
    long begin = begin();
    super.rmsNorm(x, weight, group, epsilon, y);
    others += end(begin);
  }

  @Override
  void rope(Tensor x, int headDim, RotaryTable table) {
    long begin = begin();
    super.rope(x, headDim, table);
    others += end(begin);
  }

  @Override
  void residual(Tensor x, Tensor gate, Tensor y) {
    long begin = begin();
    super.residual(x, gate, y);
    others += end(begin);
  }

  @Override
  void convert(Tensor x, Activation activation, Tensor y) {
    long begin = begin();
    super.convert(x, activation, y);
    others += end(begin);
  }
}
