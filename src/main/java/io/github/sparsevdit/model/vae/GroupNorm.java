package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.tensor.Tensor;

/** A group norm's weights; null where memory is only planned. */
record GroupNorm(Tensor weight, Tensor bias, int groups, float epsilon) {}
