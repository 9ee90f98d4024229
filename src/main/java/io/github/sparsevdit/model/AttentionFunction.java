package io.github.sparsevdit.model;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.tensor.Tensor;

/**
 * How a denoiser's self-attention is computed in one forward pass: densely, by a table, or watched.
 */
@FunctionalInterface
public interface AttentionFunction {
  /**
   * out = softmax(q·kᵀ/√D)·v of one layer, or what stands in for it. The tensors are the
   * denoiser's, valid until this returns.
   *
   * @param layer from 0
   * @param q [1, H, S, D], after position embedding; any strides but D contiguous, as k, v and out
   * @param textValid how many of the sequence's text tokens are real (one batch row), or null for
   *     all
   * @param out written; overlaps none of the others
   */
  void attend(int layer, Tensor q, Tensor k, Tensor v, int[] textValid, Tensor out);

  /**
   * The plan of a layer where running it is all that attend does, else null. Where all layers have
   * one, a denoiser on a device may run them itself, recorded in a graph, without calling attend.
   */
  default AttentionPlan plan(int layer) {
    return null;
  }
}
