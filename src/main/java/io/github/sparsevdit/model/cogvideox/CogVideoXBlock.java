package io.github.sparsevdit.model.cogvideox;

import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.FeedForward;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.model.parts.Workspace.Rows;
import io.github.sparsevdit.tensor.Tensor;

/** CogVideoX's block: text and video share all weights but the modulation. */
final class CogVideoXBlock {
  private final int layer;
  private final float epsilon;
  private final Norm norm1;
  private final Norm norm2;
  private final Linear q;
  private final Linear k;
  private final Linear v;
  private final Linear out;
  private final Tensor normQWeight;
  private final Tensor normQBias;
  private final Tensor normKWeight;
  private final Tensor normKBias;
  private final FeedForward ffn;

  /**
   * One affine norm for both streams, and what modulates it: shift, scale, gate of video, then of
   * text.
   */
  private record Norm(Linear modulation, Tensor weight, Tensor bias) {
    static Norm of(Weights weights, String name, int timeWidth, int d) {
      return new Norm(
          weights.linear(name + ".linear", timeWidth, 6L * d),
          weights.stored(name + ".norm.weight", d),
          weights.stored(name + ".norm.bias", d));
    }
  }

  CogVideoXBlock(Weights weights, int layer, CogVideoXConfig config) {
    this.layer = layer;
    this.epsilon = config.epsilon();
    String name = "transformer_blocks." + layer + ".";
    int d = config.dims().width();
    int headDim = config.dims().headDim();
    norm1 = Norm.of(weights, name + "norm1", config.timeWidth(), d);
    norm2 = Norm.of(weights, name + "norm2", config.timeWidth(), d);
    q = weights.linear(name + "attn1.to_q", d, d);
    k = weights.linear(name + "attn1.to_k", d, d);
    v = weights.linear(name + "attn1.to_v", d, d);
    out = weights.linear(name + "attn1.to_out.0", d, d);
    normQWeight = weights.stored(name + "attn1.norm_q.weight", headDim);
    normQBias = weights.stored(name + "attn1.norm_q.bias", headDim);
    normKWeight = weights.stored(name + "attn1.norm_k.weight", headDim);
    normKBias = weights.stored(name + "attn1.norm_k.bias", headDim);
    ffn = FeedForward.of(weights, name + "ff", d, config.ffn(), Activation.GELU_TANH);
  }

  Tensor outProjection() {
    return out.hostWeight();
  }

  /** Advances w.hidden by this block. */
  void run(Operations ops, CogVideoXWorkspace w, AttentionFunction attention) {
    int headDim = w.dims.headDim();
    norm1.modulation().apply(ops, w.activated, w.modulation);
    norm2.modulation().apply(ops, w.activated, w.ffnModulation);
    Tensor[] m = w.m; // shift, scale, gate of video, then of text
    Tensor[] fm = w.fm;
    Rows hidden = w.hidden;
    Rows normed = w.normed;
    Tensor weight = norm1.weight();
    Tensor bias = norm1.bias();
    ops.layerNorm(hidden.video(), weight, bias, m[1], m[0], epsilon, normed.video());
    ops.layerNorm(hidden.text(), weight, bias, m[4], m[3], epsilon, normed.text());
    q.apply(ops, w.normed.all(), w.q.all());
    k.apply(ops, w.normed.all(), w.k.all());
    v.apply(ops, w.normed.all(), w.v);
    float qkEpsilon = CogVideoXConfig.QK_EPSILON;
    Tensor queries = w.q.video();
    Tensor keys = w.k.video();
    ops.layerNormRotated(
        w.q.all(), normQWeight, normQBias, headDim, qkEpsilon, queries, headDim, w.rotary);
    ops.layerNormRotated(
        w.k.all(), normKWeight, normKBias, headDim, qkEpsilon, keys, headDim, w.rotary);
    attention.attend(layer, w.qHeads, w.kHeads, w.vHeads, null, w.normedHeads);
    out.apply(ops, w.normed.all(), w.q.all());

    Rows added = w.q;
    weight = norm2.weight();
    bias = norm2.bias();
    ops.residualNorm(
        added.video(), m[2], hidden.video(), weight, bias, fm[1], fm[0], epsilon, normed.video());
    ops.residualNorm(
        added.text(), m[5], hidden.text(), weight, bias, fm[4], fm[3], epsilon, normed.text());
    ffn.apply(ops, normed.all(), w.ffn, added.all());
    ops.residual(added.video(), fm[2], hidden.video());
    ops.residual(added.text(), fm[5], hidden.text());
  }
}
