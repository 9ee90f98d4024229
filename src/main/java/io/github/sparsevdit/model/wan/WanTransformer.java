package io.github.sparsevdit.model.wan;

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
 * Wan 2.1 and 2.2 (diffusers' WanTransformer3DModel), text- and image-to-video. Frames that are
 * given (2.2 TI2V) have timestep 0, and so a modulation of their own: what diffusers calls a
 * timestep per token.
 */
final class WanTransformer extends BaseTransformer<WanWorkspace> {
  private final WanConfig config;
  private final Patches patches;
  private final PatchEmbedding patchEmbedding;
  private final TimeEmbedding timeEmbedding;
  private final Linear timeProjection;
  private final TextEmbedding textEmbedding;
  private final WanImageEmbedding imageEmbedding; // null without an image branch
  private final WanBlock[] blocks;
  private final Tensor headTable; // [1, 2 d]: shift, scale
  private final Linear head;
  private String noFirstFrames; // why none are taken; null where they are

  WanTransformer(String name, ConfigFile file, Weights weights, Backend backend) {
    super(name, weights, backend);
    this.config = WanConfig.of(file);
    this.patches = config.patches();
    int d = config.dims().width();
    int[] patch = config.patch();
    patchEmbedding =
        new PatchEmbedding(
            patches,
            weights.patchLinear(
                "patch_embedding", d, config.inChannels(), patch[0], patch[1], patch[2]),
            config.inChannels());
    timeEmbedding =
        new TimeEmbedding(weights, "condition_embedder.time_embedder", config.timeFrequencies(), d);
    timeProjection = weights.linear("condition_embedder.time_proj", d, 6 * d);
    textEmbedding =
        closing(
            new TextEmbedding(
                weights,
                backend,
                "condition_embedder.text_embedder",
                config.textFeatures(),
                d,
                Activation.GELU_TANH));
    boolean withImage = config.imageFeatures() > 0;
    if (withImage) {
      weights.ignore("attn2.norm_added_q.weight"); // published, and used by nothing
    }
    imageEmbedding =
        withImage
            ? closing(new WanImageEmbedding(weights, backend, config.imageFeatures(), d))
            : null;
    blocks = new WanBlock[config.layers()];
    for (int i = 0; i < blocks.length; i++) {
      blocks[i] =
          new WanBlock(weights, i, config.dims(), config.ffn(), withImage, config.epsilon());
    }
    headTable = weights.table("scale_shift_table", 1, 2, d).view(1, 2L * d);
    head = weights.linear("proj_out", d, (long) patches.volume() * config.outChannels());
  }

  /**
   * With expanded timesteps (Wan2.2 TI2V) the frames that are given are tokens of timestep 0, and
   * an image's latents are no further channels.
   */
  @Override
  public void expandTimesteps(boolean expands, String where) {
    if (expands && config.inChannels() != config.outChannels()) {
      throw new IllegalArgumentException(
          "%s: expand_timesteps is true; expected false for a transformer that takes %d channels and gives %d"
              .formatted(where, config.inChannels(), config.outChannels()));
    }
    noFirstFrames = expands ? null : where + ": expand_timesteps is false or absent";
  }

  @Override
  public ModelShape shape() {
    return new ModelShape(name, config.layers(), config.dims().heads(), config.dims().headDim());
  }

  @Override
  public long[] outputShape(long[] latentShape) {
    return new long[] {config.outChannels(), latentShape[1], latentShape[2], latentShape[3]};
  }

  @Override
  public Sequence sequence(long[] latentShape, int textTokens) {
    return patches.sequence(latentShape[0], latentShape[1], latentShape[2], latentShape[3]);
  }

  @Override
  public Tensor outProjection(double timestep, int layer) {
    return blocks[layer].outProjection();
  }

  @Override
  public void check(long[] latents, Conditioning conditioning) {
    Inputs.requireLatents(latents, conditioning, 0, config.inChannels(), config.outChannels());
    if (conditioning.firstFrames() != null && noFirstFrames != null) {
      throw new IllegalArgumentException(
          noFirstFrames
              + ", so this model takes no first frames; given are "
              + conditioning.firstFrames());
    }
    Inputs.requireFirstFrames(latents, conditioning.firstFrames(), patches.frames());
    Inputs.requireFeatures("text", conditioning.text(), config.textFeatures());
    Inputs.requireNone("pooled embedding", conditioning.pooled());
    Inputs.requireNoMask(conditioning);
    if (imageEmbedding == null) {
      Inputs.requireNone("image features", conditioning.image());
    } else if (conditioning.image() == null) {
      throw new IllegalArgumentException(
          "this model needs an image's features: image [tokens, " + config.imageFeatures() + "]");
    } else {
      Inputs.requireFeatures("image", conditioning.image(), config.imageFeatures());
    }
  }

  /** How many frames of tokens are given. */
  private int givenFrames(Conditioning conditioning) {
    return conditioning.firstFrames() == null
        ? 0
        : Math.toIntExact(conditioning.firstFrames().size(1)) / patches.frames();
  }

  private static int imageTokens(Conditioning conditioning) {
    return conditioning.image() == null ? 0 : Math.toIntExact(conditioning.image().size(0));
  }

  @Override
  protected boolean fits(WanWorkspace w, Tensor latents, Conditioning conditioning) {
    return super.fits(w, latents, conditioning)
        && w.fits(conditioning.textTokens(), imageTokens(conditioning), givenFrames(conditioning));
  }

  @Override
  protected WanWorkspace makeWorkspace(Tensor latents, Conditioning conditioning) {
    return Resources.make(
        owned ->
            new WanWorkspace(
                owned,
                backend,
                config,
                type(),
                sequence(latents.shape()),
                conditioning.textTokens(),
                imageTokens(conditioning),
                givenFrames(conditioning)));
  }

  @Override
  protected void embed(WanWorkspace w, Tensor latents, double timestep, Conditioning conditioning) {
    patchEmbedding.embed(
        ops, w, latents, conditioning.firstFrames(), conditioning.latents(), w.hidden);

    for (int i = 0; i < w.spans.length; i++) {
      WanWorkspace.Span span = w.spans[i];
      timeEmbedding.embed(ops, i < w.spans.length - 1 ? 0 : timestep, span.time);
      ops.convert(span.time, Activation.SILU, span.timeActivated);
      timeProjection.apply(ops, span.timeActivated, span.timeProjection);
    }
    textEmbedding.embed(ops, conditioning.text(), w.textTokens);
    if (imageEmbedding != null) {
      imageEmbedding.embed(ops, conditioning.image(), w.imageTokens);
    }
  }

  @Override
  protected void blocks(WanWorkspace w, AttentionFunction attention) {
    for (WanBlock block : blocks) {
      block.run(ops, w, attention);
    }

    for (WanWorkspace.Span span : w.spans) {
      ops.convert(headTable, Activation.NONE, span.headModulation);
      Tensor shift = span.headParts[0];
      Tensor scale = span.headParts[1];
      ops.residual(span.time, null, shift);
      ops.residual(span.time, null, scale);
      ops.layerNorm(span.hidden, null, null, scale, shift, config.epsilon(), span.normed);
    }
    head.apply(ops, w.normed, w.output);
  }

  @Override
  protected void finish(WanWorkspace w, Tensor out) {
    ops.fetch(w.output, w.hostOutput);
    patches.scatter(w.hostOutput, Patches.Features.CHANNEL_LAST, out);
  }
}
