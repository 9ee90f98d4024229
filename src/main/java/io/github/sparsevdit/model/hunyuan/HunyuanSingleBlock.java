package io.github.sparsevdit.model.hunyuan;

import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.Tensor;

/**
 * HunyuanVideo's single-stream block: all tokens share weights, and attention and FFN run side by
 * side.
 */
final class HunyuanSingleBlock {
  private final int layer;
  private final Linear modulation; // shift, scale, gate
  private final Linear q;
  private final Linear k;
  private final Linear v;
  private final Tensor normQ;
  private final Tensor normK;
  private final Linear mlp;
  private final Linear out; // of [attention | mlp]

  /**
   * @param index among the single blocks
   * @param layer among all blocks
   */
  HunyuanSingleBlock(Weights weights, int index, int layer, HunyuanConfig config) {
    this.layer = layer;
    String name = "single_transformer_blocks." + index + ".";
    int d = config.dims().width();
    int headDim = config.dims().headDim();
    modulation = weights.linear(name + "norm.linear", d, 3L * d);
    q = weights.linear(name + "attn.to_q", d, d);
    k = weights.linear(name + "attn.to_k", d, d);
    v = weights.linear(name + "attn.to_v", d, d);
    normQ = weights.stored(name + "attn.norm_q.weight", headDim);
    normK = weights.stored(name + "attn.norm_k.weight", headDim);
    mlp = weights.linear(name + "proj_mlp", d, config.ffn());
    out = weights.linear(name + "proj_out", d + config.ffn(), d);
  }

  /** The columns of proj_out that attention's output meets. */
  Tensor outProjection() {
    return out.hostWeight().slice(1, 0, out.outputs());
  }

  /** Advances w.hidden by this block. */
  void run(Operations ops, HunyuanWorkspace w, AttentionFunction attention) {
    int headDim = w.dims.headDim();
    float epsilon = HunyuanConfig.EPSILON;
    modulation.apply(ops, w.activated, w.modulation.slice(1, 0, 3L * out.outputs()));
    Tensor shift = w.m[0];
    Tensor scale = w.m[1];
    ops.layerNorm(w.hidden.all(), null, null, scale, shift, epsilon, w.normed.all());
    q.apply(ops, w.normed.all(), w.q.all());
    k.apply(ops, w.normed.all(), w.k.all());
    v.apply(ops, w.normed.all(), w.v.all());
    ops.rmsNormRotated(w.q.all(), normQ, headDim, epsilon, w.q.video(), headDim, w.rotary);
    ops.rmsNormRotated(w.k.all(), normK, headDim, epsilon, w.k.video(), headDim, w.rotary);
    attention.attend(layer, w.qHeads, w.kHeads, w.vHeads, w.textValid, w.normedHeads);
    long rows = w.hidden.all().size(0);
    for (long from = 0; from < rows; from += w.wide.size(0)) {
      finish(ops, w, from, Math.min(rows, from + w.wide.size(0)));
    }
  }

  /**
   * The MLP and the output of some rows, whose attention is in w.normed: [attention | mlp] of all
   * rows would be the largest buffer of all. Normalising once more costs less than keeping it.
   */
  private void finish(Operations ops, HunyuanWorkspace w, long from, long to) {
    Tensor hidden = w.hidden.all().slice(0, from, to);
    Tensor rows = w.q.all().slice(0, from, to);
    Tensor wide = w.wide.slice(0, 0, to - from);
    int d = out.outputs();
    ops.convert(w.normed.all().slice(0, from, to), Activation.NONE, wide.slice(1, 0, d));
    ops.layerNorm(hidden, null, null, w.m[1], w.m[0], HunyuanConfig.EPSILON, rows);
    mlp.apply(ops, rows, Activation.GELU_TANH, wide.slice(1, d, wide.size(1)));
    out.apply(ops, wide, rows);
    ops.residual(rows, w.m[2], hidden);
  }
}
