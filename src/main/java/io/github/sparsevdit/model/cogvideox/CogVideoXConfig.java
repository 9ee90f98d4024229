package io.github.sparsevdit.model.cogvideox;

import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.ModelDims;
import io.github.sparsevdit.model.parts.Patches;

/** What CogVideoX1.5's config.json says. */
public record CogVideoXConfig(
    ModelDims dims,
    int layers,
    int inChannels,
    int outChannels,
    int textFeatures,
    int timeWidth,
    int offsetWidth, // 0: no embedded offset
    int patchFrames,
    int patch,
    float epsilon) {
  static final float QK_EPSILON = 1e-6f;
  static final double ROTARY_THETA = 10000;
  private static final int FFN_RATIO = 4;

  public static CogVideoXConfig of(ConfigFile config) {
    if (!config.has("patch_size_t")) {
      throw new IllegalArgumentException(
          config.where()
              + ": patch_size_t is null or absent, as in CogVideoX 1.0; only 1.5 is supported");
    }
    config.require("use_rotary_positional_embeddings", "true", "false");
    config.require("use_learned_positional_embeddings", "false", "false");
    config.require("activation_fn", "gelu-approximate", "gelu-approximate");
    config.require("timestep_activation_fn", "silu", "silu");
    config.require("flip_sin_to_cos", "true", "true");
    if (config.isNull("freq_shift") || config.number("freq_shift", 0) != 0) {
      throw config.wrong("freq_shift", "0");
    }
    config.require("norm_elementwise_affine", "true", "true");
    config.require("attention_bias", "true", "true");
    CogVideoXConfig read =
        new CogVideoXConfig(
            new ModelDims(
                config.count("num_attention_heads", 30, 1),
                config.count("attention_head_dim", 64, 1)),
            config.count("num_layers", 30, 1),
            config.count("in_channels", 16, 1),
            config.count("out_channels", 16, 1),
            config.count("text_embed_dim", 4096, 1),
            config.count("time_embed_dim", 512, 1),
            config.has("ofs_embed_dim") ? config.count("ofs_embed_dim", 0, 1) : 0,
            config.count("patch_size_t", 0, 1),
            config.count("patch_size", 2, 1),
            (float) config.positive("norm_eps", 1e-5));
    config.requireAllKnown("CogVideoXTransformer3DModel");
    return read;
  }

  int ffn() {
    return FFN_RATIO * dims.width();
  }

  Patches patches() {
    return new Patches(patchFrames, patch, patch);
  }

  /** A quarter of a head's numbers rotates with the frame, the rest with row and column. */
  int[] rotaryDims() {
    int space = dims.headDim() / 8 * 3;
    return new int[] {dims.headDim() - 2 * space, space, space};
  }
}
