package io.github.sparsevdit.model.hunyuan;

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
import io.github.sparsevdit.model.parts.TextEmbedding;
import io.github.sparsevdit.model.parts.TimeEmbedding;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.Tensor;

/**
 * HunyuanVideo, text-to-video (diffusers' HunyuanVideoTransformer3DModel); text follows video in
 * the sequence.
 */
final class HunyuanTransformer extends BaseTransformer<HunyuanWorkspace> {
  private final HunyuanConfig config;
  private final Patches patches;
  private final PatchEmbedding patchEmbedding;
  private final TimeEmbedding timeEmbedding;
  private final TimeEmbedding guidanceEmbedding; // null without embedded guidance
  private final TextEmbedding pooledEmbedding;
  private final HunyuanRefiner refiner;
  private final HunyuanDualBlock[] dualBlocks;
  private final HunyuanSingleBlock[] singleBlocks;
  private final Linear headModulation; // scale, shift
  private final Linear head;

  HunyuanTransformer(String name, ConfigFile file, Weights weights, Backend backend) {
    super(name, weights, backend);
    config = HunyuanConfig.of(file);
    patches = config.patches();
    int d = config.dims().width();
    int frequencies = HunyuanConfig.TIME_FREQUENCIES;
    patchEmbedding =
        new PatchEmbedding(
            patches,
            weights.patchLinear(
                "x_embedder.proj",
                d,
                config.inChannels(),
                config.patchFrames(),
                config.patch(),
                config.patch()),
            config.inChannels());
    timeEmbedding = new TimeEmbedding(weights, "time_text_embed.timestep_embedder", frequencies, d);
    guidanceEmbedding =
        config.guidance()
            ? new TimeEmbedding(weights, "time_text_embed.guidance_embedder", frequencies, d)
            : null;
    pooledEmbedding =
        closing(
            new TextEmbedding(
                weights,
                backend,
                "time_text_embed.text_embedder",
                config.pooledFeatures(),
                d,
                Activation.SILU));
    refiner = closing(new HunyuanRefiner(weights, backend, config));
    dualBlocks = new HunyuanDualBlock[config.dualLayers()];
    for (int i = 0; i < dualBlocks.length; i++) {
      dualBlocks[i] = new HunyuanDualBlock(weights, i, config);
    }
    singleBlocks = new HunyuanSingleBlock[config.singleLayers()];
    for (int i = 0; i < singleBlocks.length; i++) {
      singleBlocks[i] = new HunyuanSingleBlock(weights, i, dualBlocks.length + i, config);
    }
    headModulation = weights.linear("norm_out.linear", d, 2L * d);
    head = weights.linear("proj_out", d, (long) patches.volume() * config.outChannels());
  }

  @Override
  public ModelShape shape() {
    return new ModelShape(
        name,
        dualBlocks.length + singleBlocks.length,
        config.dims().heads(),
        config.dims().headDim());
  }

  @Override
  public long[] outputShape(long[] latentShape) {
    return new long[] {config.outChannels(), latentShape[1], latentShape[2], latentShape[3]};
  }

  @Override
  public Sequence sequence(long[] latentShape, int textTokens) {
    return patches
        .sequence(latentShape[0], latentShape[1], latentShape[2], latentShape[3])
        .withText(textTokens, false);
  }

  @Override
  public Tensor outProjection(double timestep, int layer) {
    return layer < dualBlocks.length
        ? dualBlocks[layer].outProjection()
        : singleBlocks[layer - dualBlocks.length].outProjection();
  }

  @Override
  public boolean embedsGuidance() {
    return guidanceEmbedding != null;
  }

  @Override
  public void check(long[] latents, Conditioning conditioning) {
    Inputs.requireLatents(latents, conditioning, 0, config.inChannels(), config.outChannels());
    Inputs.requireFeatures("text", conditioning.text(), config.textFeatures());
    Inputs.requireNone("first frames", conditioning.firstFrames());
    Inputs.requireNone("image features", conditioning.image());
    if (conditioning.pooled() == null) {
      throw new IllegalArgumentException(
          "this model needs a pooled embedding of the prompt: pooled ["
              + config.pooledFeatures()
              + "]");
    }
    Inputs.requireFeatures("pooled", conditioning.pooled(), config.pooledFeatures());
    if (guidanceEmbedding != null && Double.isNaN(conditioning.guidance())) {
      throw new IllegalArgumentException("this model needs a guidance scale to embed");
    }
  }

  @Override
  protected HunyuanWorkspace makeWorkspace(Tensor latents, Conditioning conditioning) {
    Sequence sequence = sequence(latents.shape(), conditioning.textTokens());
    return Resources.make(owned -> new HunyuanWorkspace(owned, backend, config, type(), sequence));
  }

  @Override
  protected void embed(
      HunyuanWorkspace w, Tensor latents, double timestep, Conditioning conditioning) {
    int valid = conditioning.textValid() < 0 ? conditioning.textTokens() : conditioning.textValid();
    w.textValid[0] = valid;
    if (w.counts != null) {
      w.counts.copyFrom(valid);
    }
    patchEmbedding.embed(ops, w, latents, null, conditioning.latents(), w.hidden.video());
    refiner.refine(ops, w, conditioning.text(), timestep, valid);

    timeEmbedding.embed(ops, timestep, w.time);
    if (guidanceEmbedding != null) {
      guidanceEmbedding.embed(ops, conditioning.guidance(), w.part);
      ops.residual(w.part, null, w.time);
    }
    Tensor pooled = conditioning.pooled();
    pooledEmbedding.embed(ops, pooled.view(1, pooled.size(0)), w.part);
    ops.residual(w.part, null, w.time);
    ops.convert(w.time, Activation.SILU, w.activated);
  }

  @Override
  protected void blocks(HunyuanWorkspace w, AttentionFunction attention) {
    for (HunyuanDualBlock block : dualBlocks) {
      block.run(ops, w, attention);
    }
    for (HunyuanSingleBlock block : singleBlocks) {
      block.run(ops, w, attention);
    }

    headModulation.apply(ops, w.activated, w.modulation.slice(1, 0, 2L * config.dims().width()));
    Tensor scale = w.m[0];
    Tensor shift = w.m[1];
    ops.layerNorm(
        w.hidden.video(), null, null, scale, shift, HunyuanConfig.EPSILON, w.normed.video());
    head.apply(ops, w.normed.video(), w.output);
  }

  @Override
  protected void finish(HunyuanWorkspace w, Tensor out) {
    ops.fetch(w.output, w.hostOutput);
    patches.scatter(w.hostOutput, Patches.Features.CHANNEL_FIRST, out);
  }
}
