package io.github.sparsevdit.jmh;

import io.github.sparsevdit.tensor.ElementType;

/** Attention over given inputs, by this library or a peer. */
interface Attention extends AutoCloseable {
  /** Threads every contender computes with. */
  int THREADS = Integer.getInteger("svdit.threads", Runtime.getRuntime().availableProcessors());

  /** Of inputs and output. */
  ElementType type();

  /** Computes the output once. */
  void run();

  /** The last output, row-major [S, H, D]. */
  float[] output();

  @Override
  void close();
}
