package io.github.sparsevdit.model;

/** What CogVideoX1.5's config.json says. */
record CogVideoXConfig(
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

  static CogVideoXConfig of(ConfigFile config) {
    config.expect("use_rotary_positional_embeddings", "true");
    config.expect("use_learned_positional_embeddings", "false");
    config.expect("activation_fn", "gelu-approximate");
    config.expect("timestep_activation_fn", "silu");
    config.expect("flip_sin_to_cos", "true");
    config.expect("freq_shift", "0");
    config.expect("norm_elementwise_affine", "true");
    config.expect("attention_bias", "true");
    if (!config.has("patch_size_t")) {
      throw new IllegalArgumentException(
          config.where() + ": without patch_size_t this is CogVideoX 1.0; 1.5 is supported");
    }
    return new CogVideoXConfig(
        new ModelDims(config.integer("num_attention_heads"), config.integer("attention_head_dim")),
        config.integer("num_layers"),
        config.integer("in_channels"),
        config.integer("out_channels"),
        config.integer("text_embed_dim"),
        config.integer("time_embed_dim"),
        config.integer("ofs_embed_dim", 0),
        config.integer("patch_size_t"),
        config.integer("patch_size"),
        (float) config.number("norm_eps", 1e-5));
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
