package io.github.sparsevdit.model.hunyuan;

import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.FeedForward;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
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
    return video.out().hostWeight();
  }

  /** Advances w.hidden by this block. */
  void run(Operations ops, HunyuanWorkspace w, AttentionFunction attention) {
    video.modulation().apply(ops, w.activated, w.modulation);
    text.modulation().apply(ops, w.activated, w.textModulation);
    int headDim = w.dims.headDim();
    float epsilon = HunyuanConfig.EPSILON;
    Tensor q = w.q.video();
    Tensor k = w.k.video();
    project(ops, video, w.m, w.hidden.video(), w.normed.video(), q, k, w.v.video());
    ops.rmsNormRotated(q, video.normQ(), headDim, epsilon, q, headDim, w.rotary);
    ops.rmsNormRotated(k, video.normK(), headDim, epsilon, k, headDim, w.rotary);
    q = w.q.text();
    k = w.k.text();
    project(ops, text, w.tm, w.hidden.text(), w.normed.text(), q, k, w.v.text());
    ops.rmsNorm(q, text.normQ(), headDim, epsilon, q);
    ops.rmsNorm(k, text.normK(), headDim, epsilon, k);
    attention.attend(layer, w.qHeads, w.kHeads, w.vHeads, w.textValid, w.normedHeads);
    finish(ops, video, w.m, w.hidden.video(), w.normed.video(), w.q.video(), w.ffn);
    finish(ops, text, w.tm, w.hidden.text(), w.normed.text(), w.q.text(), w.ffn);
  }

  /** m: shift, scale, gate, mlp-shift, mlp-scale, mlp-gate. */
  private static void project(
      Operations ops,
      Stream stream,
      Tensor[] m,
      Tensor hidden,
      Tensor normed,
      Tensor q,
      Tensor k,
      Tensor v) {
    ops.layerNorm(hidden, null, null, m[1], m[0], HunyuanConfig.EPSILON, normed);
    stream.q().apply(ops, normed, q);
    stream.k().apply(ops, normed, k);
    stream.v().apply(ops, normed, v);
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
    ops.residualNorm(spare, m[2], hidden, null, null, m[4], m[3], HunyuanConfig.EPSILON, spare);
    stream.ffn().apply(ops, spare, ffnHidden, spare);
    ops.residual(spare, m[5], hidden);
  }
}
