package io.github.sparsevdit.model;

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
    return out.weight();
  }

  /** Advances w.hidden by this block. */
  void run(Operations ops, CogVideoXWorkspace w, AttentionFunction attention) {
    int headDim = w.dims.headDim();
    normalise(ops, w, norm1);
    q.apply(ops, w.normed.all(), w.q.all());
    k.apply(ops, w.normed.all(), w.k.all());
    v.apply(ops, w.normed.all(), w.v);
    float qkEpsilon = CogVideoXConfig.QK_EPSILON;
    ops.layerNormGroups(w.q.all(), normQWeight, normQBias, headDim, qkEpsilon, w.q.all());
    ops.layerNormGroups(w.k.all(), normKWeight, normKBias, headDim, qkEpsilon, w.k.all());
    ops.rope(w.q.video(), headDim, w.rotary);
    ops.rope(w.k.video(), headDim, w.rotary);
    attention.attend(layer, w.qHeads, w.kHeads, w.vHeads, null, w.normedHeads);
    out.apply(ops, w.normed.all(), w.q.all());
    add(ops, w);

    normalise(ops, w, norm2);
    ffn.apply(ops, w.normed.all(), w.ffn, w.q.all());
    add(ops, w);
  }

  private void normalise(Operations ops, CogVideoXWorkspace w, Norm norm) {
    norm.modulation().apply(ops, w.activated, w.modulation);
    Tensor[] m = w.m;
    ops.layerNorm(
        w.hidden.video(), norm.weight(), norm.bias(), m[1], m[0], epsilon, w.normed.video());
    ops.layerNorm(
        w.hidden.text(), norm.weight(), norm.bias(), m[4], m[3], epsilon, w.normed.text());
  }

  /** Adds w.q to the residual stream, gated. */
  private static void add(Operations ops, CogVideoXWorkspace w) {
    ops.residual(w.q.video(), w.m[2], w.hidden.video());
    ops.residual(w.q.text(), w.m[5], w.hidden.text());
  }
}
