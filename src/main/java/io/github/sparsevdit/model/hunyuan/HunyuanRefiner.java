package io.github.sparsevdit.model.hunyuan;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.FeedForward;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.TextEmbedding;
import io.github.sparsevdit.model.parts.TimeEmbedding;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.model.parts.Workspace;
import io.github.sparsevdit.tensor.Tensor;

/**
 * HunyuanVideo's token refiner: the prompt's embedding through a few gated blocks of attention
 * among its real tokens.
 */
final class HunyuanRefiner implements AutoCloseable {
  private final int width;
  private final TimeEmbedding timestep;
  private final TextEmbedding pooledText;
  private final Linear input;
  private final Block[] blocks;

  private record Block(
      Tensor norm1Weight,
      Tensor norm1Bias,
      Linear q,
      Linear k,
      Linear v,
      Linear out,
      Tensor norm2Weight,
      Tensor norm2Bias,
      FeedForward ffn,
      Linear gates) {
    static Block of(Weights weights, String name, int d, int ffn) {
      return new Block(
          weights.stored(name + "norm1.weight", d),
          weights.stored(name + "norm1.bias", d),
          weights.linear(name + "attn.to_q", d, d),
          weights.linear(name + "attn.to_k", d, d),
          weights.linear(name + "attn.to_v", d, d),
          weights.linear(name + "attn.to_out.0", d, d),
          weights.stored(name + "norm2.weight", d),
          weights.stored(name + "norm2.bias", d),
          FeedForward.of(weights, name + "ff", d, ffn, Activation.SILU),
          weights.linear(name + "norm_out.linear", d, 2L * d));
    }
  }

  HunyuanRefiner(Weights weights, Backend backend, HunyuanConfig config) {
    width = config.dims().width();
    String name = "context_embedder.";
    timestep =
        new TimeEmbedding(
            weights,
            name + "time_text_embed.timestep_embedder",
            HunyuanConfig.TIME_FREQUENCIES,
            width);
    pooledText =
        new TextEmbedding(
            weights,
            backend,
            name + "time_text_embed.text_embedder",
            config.textFeatures(),
            width,
            Activation.SILU);
    input = weights.linear(name + "proj_in", config.textFeatures(), width);
    blocks = new Block[config.refinerLayers()];
    for (int i = 0; i < blocks.length; i++) {
      blocks[i] =
          Block.of(
              weights,
              name + "token_refiner.refiner_blocks." + i + ".",
              width,
              config.refinerFfn());
    }
  }

  /** Writes the refined text to w.hidden.text; w.time, w.part and w.modulation are overwritten. */
  void refine(Operations ops, HunyuanWorkspace w, Tensor text, double t, int valid) {
    timestep.embed(ops, t, w.time);
    w.pooled.copyFrom(mean(text.toFloats(), (int) text.size(1), valid));
    pooledText.embed(ops, w.pooled, w.part);
    ops.residual(w.part, null, w.time);
    ops.convert(w.time, Activation.SILU, w.activated);

    ops.load(text, w.textInput);
    Tensor hidden = w.hidden.text();
    Tensor normed = w.normed.text();
    input.apply(ops, w.textInput, hidden);
    Tensor gates = w.modulation.slice(1, 0, 2L * width);
    Tensor[] gate = Workspace.parts(gates, 2);
    for (Block block : blocks) {
      block.gates().apply(ops, w.activated, gates);
      ops.layerNorm(
          hidden,
          block.norm1Weight(),
          block.norm1Bias(),
          null,
          null,
          HunyuanConfig.EPSILON,
          normed);
      block.q().apply(ops, normed, w.q.text());
      block.k().apply(ops, normed, w.k.text());
      block.v().apply(ops, normed, w.v.text());
      attend(ops, w, valid);
      block.out().apply(ops, normed, w.q.text());
      ops.residual(w.q.text(), gate[0], hidden);
      ops.layerNorm(
          hidden,
          block.norm2Weight(),
          block.norm2Bias(),
          null,
          null,
          HunyuanConfig.EPSILON,
          normed);
      block.ffn().apply(ops, normed, w.refinerFfn, normed);
      ops.residual(normed, gate[1], hidden);
    }
  }

  /** Real tokens see each other; padded ones see the first token alone, so they get its value. */
  private static void attend(Operations ops, HunyuanWorkspace w, int valid) {
    Tensor q = w.refinerHeads[0];
    Tensor k = w.refinerHeads[1];
    Tensor v = w.refinerHeads[2];
    w.refiner.call().textValid(Math.max(valid, 1)).run(q, k, v, w.refinerHeads[3]);
    int tokens = w.sequence.text();
    if (valid < tokens) {
      w.refiner.call().textValid(1).run(q, k, v, w.firstTokenHeads);
      Tensor padding = w.normed.text().slice(0, valid, tokens);
      ops.convert(w.firstToken.slice(0, valid, tokens), Activation.NONE, padding);
    }
  }

  /** The mean of the real tokens; 0 where there is none. */
  private static float[] mean(float[] text, int features, int valid) {
    float[] mean = new float[features];
    for (int token = 0; token < valid; token++) {
      for (int i = 0; i < features; i++) {
        mean[i] += text[token * features + i] / valid;
      }
    }
    return mean;
  }

  @Override
  public void close() {
    pooledText.close();
  }
}
