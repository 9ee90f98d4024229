package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.FeedForward;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.ModelDims;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.Tensor;

/**
 * One of Wan's blocks: modulated self-attention, cross-attention to the text (and an image),
 * modulated FFN. The residual stream, modulation and norms are fp32, matrix products and attention
 * in the type that is computed in.
 */
final class WanBlock {
  private final int layer;
  private final float epsilon;
  private final Tensor table; // [1, 6 d]: shift, scale, gate, cshift, cscale, cgate
  private final Linear selfQ;
  private final Linear selfK;
  private final Linear selfV;
  private final Linear selfOut;
  private final Tensor selfNormQ;
  private final Tensor selfNormK;
  private final Tensor crossNormWeight;
  private final Tensor crossNormBias;
  private final Linear crossQ;
  private final Linear crossOut;
  private final Tensor crossNormQ;
  private final CrossKeys text;
  private final CrossKeys image; // null without an image branch
  private final FeedForward ffn;

  WanBlock(Weights weights, int layer, ModelDims dims, int ffn, boolean withImage, float epsilon) {
    this.layer = layer;
    this.epsilon = epsilon;
    String name = "blocks." + layer + ".";
    int d = dims.width();
    table = weights.table(name + "scale_shift_table", 1, 6, d).view(1, 6L * d);
    selfQ = weights.linear(name + "attn1.to_q", d, d);
    selfK = weights.linear(name + "attn1.to_k", d, d);
    selfV = weights.linear(name + "attn1.to_v", d, d);
    selfOut = weights.linear(name + "attn1.to_out.0", d, d);
    selfNormQ = weights.stored(name + "attn1.norm_q.weight", d);
    selfNormK = weights.stored(name + "attn1.norm_k.weight", d);
    crossNormWeight = weights.stored(name + "norm2.weight", d);
    crossNormBias = weights.stored(name + "norm2.bias", d);
    crossQ = weights.linear(name + "attn2.to_q", d, d);
    crossOut = weights.linear(name + "attn2.to_out.0", d, d);
    crossNormQ = weights.stored(name + "attn2.norm_q.weight", d);
    text = new CrossKeys(weights, name + "attn2.", "to_k", "to_v", "norm_k", d);
    image =
        withImage
            ? new CrossKeys(weights, name + "attn2.", "add_k_proj", "add_v_proj", "norm_added_k", d)
            : null;
    this.ffn = FeedForward.of(weights, name + "ffn", d, ffn, Activation.GELU_TANH);
  }

  /** What keys and values of a cross-attention are made with. */
  private record CrossKeys(Linear k, Linear v, Tensor normK) {
    CrossKeys(Weights weights, String name, String k, String v, String normK, int d) {
      this(
          weights.linear(name + k, d, d),
          weights.linear(name + v, d, d),
          weights.stored(name + normK + ".weight", d));
    }
  }

  Tensor outProjection() {
    return selfOut.hostWeight();
  }

  /** Advances w.hidden by this block. */
  void run(Operations ops, WanWorkspace w, AttentionFunction attention) {
    for (WanWorkspace.Span span : w.spans) {
      ops.convert(span.timeProjection, Activation.NONE, span.modulation);
      ops.residual(table, null, span.modulation);
    }
    selfAttention(ops, w, attention);
    crossAttention(ops, w);
    ffn.apply(ops, w.normed, w.ffn, w.normed);
    for (WanWorkspace.Span span : w.spans) {
      ops.residual(span.normed, span.m[5], span.hidden);
    }
  }

  private void selfAttention(Operations ops, WanWorkspace w, AttentionFunction attention) {
    for (WanWorkspace.Span span : w.spans) {
      ops.layerNorm(span.hidden, null, null, span.m[1], span.m[0], epsilon, span.normed);
    }
    selfQ.apply(ops, w.normed, w.q);
    selfK.apply(ops, w.normed, w.k);
    selfV.apply(ops, w.normed, w.v);
    int headDim = w.dims.headDim();
    ops.rmsNormRotated(w.q, selfNormQ, 0, epsilon, w.q, headDim, w.rotary);
    ops.rmsNormRotated(w.k, selfNormK, 0, epsilon, w.k, headDim, w.rotary);
    attention.attend(layer, w.qHeads, w.kHeads, w.vHeads, null, w.normedHeads);
    selfOut.apply(ops, w.normed, w.q);
    for (WanWorkspace.Span span : w.spans) { // and what follows
      ops.residualNorm(
          span.q,
          span.m[2],
          span.hidden,
          crossNormWeight,
          crossNormBias,
          null,
          null,
          epsilon,
          span.normed);
    }
  }

  /** Of w.normed, as selfAttention leaves it; leaves the FFN's input there. */
  private void crossAttention(Operations ops, WanWorkspace w) {
    crossQ.apply(ops, w.normed, w.q);
    ops.rmsNorm(w.q, crossNormQ, 0, epsilon, w.q);
    attend(ops, w, text, w.text, w.normedHeads);
    if (w.image != null) {
      attend(ops, w, image, w.image, w.kHeads);
      ops.residual(w.k, null, w.normed);
    }
    crossOut.apply(ops, w.normed, w.q);
    for (WanWorkspace.Span span : w.spans) {
      Tensor[] m = span.m;
      ops.residualNorm(span.q, null, span.hidden, null, null, m[4], m[3], epsilon, span.normed);
    }
  }

  private void attend(
      Operations ops, WanWorkspace w, CrossKeys weights, WanWorkspace.Keys keys, Tensor out) {
    weights.k().apply(ops, keys.tokens, keys.k);
    weights.v().apply(ops, keys.tokens, keys.v);
    ops.rmsNorm(keys.k, weights.normK(), 0, epsilon, keys.k);
    ops.attend(keys.plan, w.qHeads, keys.kHeads, keys.vHeads, null, out);
  }
}
