package io.github.sparsevdit.model;

import io.github.sparsevdit.tensor.Tensor;

/** HunyuanVideo's dual-stream block: video and text have their own weights and attend together. */
final class HunyuanDualBlock {
  private final int layer;
  private final Stream video;
  private final Stream text;

  /** One stream's weights. */
  private record Stream(
      Linear modulation,
      Linear q,
      Linear k,
      Linear v,
      Linear out,
      Tensor normQ,
      Tensor normK,
      FeedForward ffn) {}

  HunyuanDualBlock(Weights weights, int layer, HunyuanConfig config) {
    this.layer = layer;
    String name = "transformer_blocks." + layer + ".";
    int d = config.dims().width();
    int headDim = config.dims().headDim();
    video =
        new Stream(
            weights.linear(name + "norm1.linear", d, 6L * d),
            weights.linear(name + "attn.to_q", d, d),
            weights.linear(name + "attn.to_k", d, d),
            weights.linear(name + "attn.to_v", d, d),
            weights.linear(name + "attn.to_out.0", d, d),
            weights.stored(name + "attn.norm_q.weight", headDim),
            weights.stored(name + "attn.norm_k.weight", headDim),
            FeedForward.of(weights, name + "ff", d, config.ffn(), Activation.GELU_TANH));
    text =
        new Stream(
            weights.linear(name + "norm1_context.linear", d, 6L * d),
            weights.linear(name + "attn.add_q_proj", d, d),
            weights.linear(name + "attn.add_k_proj", d, d),
            weights.linear(name + "attn.add_v_proj", d, d),
            weights.linear(name + "attn.to_add_out", d, d),
            weights.stored(name + "attn.norm_added_q.weight", headDim),
            weights.stored(name + "attn.norm_added_k.weight", headDim),
            FeedForward.of(weights, name + "ff_context", d, config.ffn(), Activation.GELU_TANH));
  }

  Tensor outProjection() {
    return video.out().weight();
  }

  /** Advances w.hidden by this block. */
  void run(Operations ops, HunyuanWorkspace w, AttentionFunction attention) {
    video.modulation().apply(ops, w.activated, w.modulation);
    text.modulation().apply(ops, w.activated, w.textModulation);
    project(
        ops,
        w,
        video,
        w.m,
        w.hidden.video(),
        w.normed.video(),
        w.q.video(),
        w.k.video(),
        w.v.video());
    project(
        ops, w, text, w.tm, w.hidden.text(), w.normed.text(), w.q.text(), w.k.text(), w.v.text());
    ops.rope(w.q.video(), w.dims.headDim(), w.rotary);
    ops.rope(w.k.video(), w.dims.headDim(), w.rotary);
    attention.attend(layer, w.qHeads, w.kHeads, w.vHeads, w.textValid, w.normedHeads);
    finish(ops, video, w.m, w.hidden.video(), w.normed.video(), w.q.video(), w.ffn);
    finish(ops, text, w.tm, w.hidden.text(), w.normed.text(), w.q.text(), w.ffn);
  }

  /** m: shift, scale, gate, mlp-shift, mlp-scale, mlp-gate. */
  private static void project(
      Operations ops,
      HunyuanWorkspace w,
      Stream stream,
      Tensor[] m,
      Tensor hidden,
      Tensor normed,
      Tensor q,
      Tensor k,
      Tensor v) {
    float epsilon = HunyuanConfig.EPSILON;
    ops.layerNorm(hidden, null, null, m[1], m[0], epsilon, normed);
    stream.q().apply(ops, normed, q);
    stream.k().apply(ops, normed, k);
    stream.v().apply(ops, normed, v);
    ops.rmsNorm(q, stream.normQ(), w.dims.headDim(), epsilon, q);
    ops.rmsNorm(k, stream.normK(), w.dims.headDim(), epsilon, k);
  }

  private static void finish(
      Operations ops,
      Stream stream,
      Tensor[] m,
      Tensor hidden,
      Tensor attended,
      Tensor spare,
      Tensor ffnHidden) {
    stream.out().apply(ops, attended, spare);
    ops.residual(spare, m[2], hidden);
    ops.layerNorm(hidden, null, null, m[4], m[3], HunyuanConfig.EPSILON, spare);
    stream.ffn().apply(ops, spare, ffnHidden, spare);
    ops.residual(spare, m[5], hidden);
  }
}
