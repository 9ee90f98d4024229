package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.model.parts.Linear;

/**
 * A convolution's weights and how it lies over clips.
 *
 * @param weights null where memory is only planned
 */
record Convolution(Linear weights, ConvLayout layout, int inputs, int outputs) {
  Convolution lying(ConvLayout other) {
    return new Convolution(weights, other, inputs, outputs);
  }
}
