package io.github.sparsevdit.model.parts;

/** What follows a linear layer; in the order of the C ABI's SVDIT_ACTIVATION_*. */
public enum Activation {
  NONE,
  /** 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). */
  GELU_TANH,
  /** x / (1 + e^−x). */
  SILU,
  /** 0.5 x (1 + erf(x / √2)); {@link Operations#convert} only. */
  GELU_ERF,
  /** x / (1 + e^(−1.702 x)); {@link Operations#convert} only. */
  QUICK_GELU
}
