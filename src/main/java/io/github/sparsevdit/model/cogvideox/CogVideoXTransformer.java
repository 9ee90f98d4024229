package io.github.sparsevdit.model.cogvideox;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.BaseTransformer;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Inputs;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.PatchEmbedding;
import io.github.sparsevdit.model.parts.Patches;
import io.github.sparsevdit.model.parts.TimeEmbedding;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.Tensor;

/**
 * CogVideoX1.5, text- and image-to-video (diffusers' CogVideoXTransformer3DModel); text comes first
 * in the sequence. Latents are [T, C, H, W].
 */
final class CogVideoXTransformer extends BaseTransformer<CogVideoXWorkspace> {
  private static final double PUBLISHED_OFFSET = 2;

  private final CogVideoXConfig config;
  private final Patches patches;
  private final PatchEmbedding patchEmbedding;
  private final Linear textProjection;
  private final TimeEmbedding timeEmbedding;
  private final TimeEmbedding offsetEmbedding; // null without one
  private final CogVideoXBlock[] blocks;
  private final Tensor finalNormWeight;
  private final Tensor finalNormBias;
  private final Linear headModulation; // shift, scale
  private final Tensor headNormWeight;
  private final Tensor headNormBias;
  private final Linear head;

  CogVideoXTransformer(String name, ConfigFile file, Weights weights, Backend backend) {
    super(name, weights, backend);
    config = CogVideoXConfig.of(file);
    patches = config.patches();
    int d = config.dims().width();
    patchEmbedding =
        new PatchEmbedding(
            patches,
            weights.linear("patch_embed.proj", (long) config.inChannels() * patches.volume(), d),
            config.inChannels());
    textProjection = weights.linear("patch_embed.text_proj", config.textFeatures(), d);
    timeEmbedding = new TimeEmbedding(weights, "time_embedding", d, config.timeWidth());
    offsetEmbedding =
        config.offsetWidth() == 0
            ? null
            : new TimeEmbedding(weights, "ofs_embedding", config.offsetWidth(), config.timeWidth());
    blocks = new CogVideoXBlock[config.layers()];
    for (int i = 0; i < blocks.length; i++) {
      blocks[i] = new CogVideoXBlock(weights, i, config);
    }
    finalNormWeight = weights.stored("norm_final.weight", d);
    finalNormBias = weights.stored("norm_final.bias", d);
    headModulation = weights.linear("norm_out.linear", config.timeWidth(), 2L * d);
    headNormWeight = weights.stored("norm_out.norm.weight", d);
    headNormBias = weights.stored("norm_out.norm.bias", d);
    head = weights.linear("proj_out", d, (long) patches.volume() * config.outChannels());
  }

  @Override
  public ModelShape shape() {
    return new ModelShape(name, blocks.length, config.dims().heads(), config.dims().headDim());
  }

  @Override
  public long[] outputShape(long[] latentShape) {
    return new long[] {latentShape[0], config.outChannels(), latentShape[2], latentShape[3]};
  }

  @Override
  public Sequence sequence(long[] latentShape, int textTokens) {
    return patches
        .sequence(latentShape[1], latentShape[0], latentShape[2], latentShape[3])
        .withText(textTokens, true);
  }

  @Override
  public Tensor outProjection(double timestep, int layer) {
    return blocks[layer].outProjection();
  }

  @Override
  public void check(long[] latents, Conditioning conditioning) {
    Inputs.requireLatents(latents, conditioning, 1, config.inChannels(), config.outChannels());
    Inputs.requireFeatures("text", conditioning.text(), config.textFeatures());
    Inputs.requireNone("first frames", conditioning.firstFrames());
    Inputs.requireNone("image features", conditioning.image());
    Inputs.requireNone("pooled embedding", conditioning.pooled());
    Inputs.requireNoMask(conditioning);
  }

  @Override
  protected CogVideoXWorkspace makeWorkspace(Tensor latents, Conditioning conditioning) {
    Sequence sequence = sequence(latents.shape(), conditioning.textTokens());
    return Resources.make(
        owned -> new CogVideoXWorkspace(owned, backend, config, type(), sequence));
  }

  @Override
  protected void embed(
      CogVideoXWorkspace w, Tensor latents, double timestep, Conditioning conditioning) {
    Tensor image = conditioning.latents() == null ? null : conditioning.latents().transpose(0, 1);
    patchEmbedding.embed(ops, w, latents.transpose(0, 1), null, image, w.hidden.video());
    ops.load(conditioning.text(), w.textInput);
    textProjection.apply(ops, w.textInput, w.hidden.text());

    timeEmbedding.embed(ops, timestep, w.time);
    if (offsetEmbedding != null) {
      double offset = conditioning.offset();
      offsetEmbedding.embed(ops, Double.isNaN(offset) ? PUBLISHED_OFFSET : offset, w.offset);
      ops.residual(w.offset, null, w.time);
    }
    ops.convert(w.time, Activation.SILU, w.activated);
  }

  @Override
  protected void blocks(CogVideoXWorkspace w, AttentionFunction attention) {
    for (CogVideoXBlock block : blocks) {
      block.run(ops, w, attention);
    }

    Tensor hidden = w.hidden.video();
    float epsilon = config.epsilon();
    ops.layerNorm(hidden, finalNormWeight, finalNormBias, null, null, epsilon, hidden);
    headModulation.apply(ops, w.activated, w.headModulation);
    Tensor shift = w.m[0];
    Tensor scale = w.m[1];
    Tensor normed = w.normed.video();
    ops.layerNorm(hidden, headNormWeight, headNormBias, scale, shift, epsilon, normed);
    head.apply(ops, normed, w.output);
  }

  @Override
  protected void finish(CogVideoXWorkspace w, Tensor out) {
    ops.fetch(w.output, w.hostOutput);
    patches.scatter(w.hostOutput, Patches.Features.CHANNEL_FIRST, out.transpose(0, 1));
  }
}
