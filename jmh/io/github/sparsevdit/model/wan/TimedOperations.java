package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.parts.Operations;

/**
 * Operations that share out the time from {@link #start} to {@link #stop}: to matrix products, to
 * the other operations, and to what happens between operations, which in a block is attention.
 */
final class TimedOperations extends Operations {
  private long products;
  private long others;
  private long between;
  private long last; // when an operation last began or ended
  private boolean inProduct;

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

  @Override
  protected void begin(boolean product) {
    super.begin(product);
    long now = System.nanoTime();
    between += now - last;
    last = now;
    inProduct = product;
  }

  @Override
  protected void end() {
    super.end();
    long now = System.nanoTime();
    if (inProduct) {
      products += now - last;
    } else {
      others += now - last;
    }
    last = now;
  }
}
