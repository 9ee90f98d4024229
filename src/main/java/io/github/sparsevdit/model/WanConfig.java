package io.github.sparsevdit.model;

/** What Wan's config.json says. */
record WanConfig(
    ModelDims dims,
    int layers,
    int ffn,
    int inChannels,
    int outChannels,
    int textFeatures,
    int imageFeatures, // 0: no image branch
    int timeFrequencies,
    float epsilon,
    int[] patch) {
  private static final int ROTARY_THETA = 10000;

  static WanConfig of(ConfigFile config) {
    config.expect("qk_norm", "rms_norm_across_heads");
    config.expect("cross_attn_norm", "true");
    if (config.has("pos_embed_seq_len")) {
      throw new IllegalArgumentException(
          config.where() + ": pos_embed_seq_len (first-last-frame models) is not supported");
    }
    return new WanConfig(
        new ModelDims(config.integer("num_attention_heads"), config.integer("attention_head_dim")),
        config.integer("num_layers"),
        config.integer("ffn_dim"),
        config.integer("in_channels"),
        config.integer("out_channels"),
        config.integer("text_dim"),
        config.integer("image_dim", 0),
        config.integer("freq_dim"),
        (float) config.number("eps", 1e-6),
        config.triple("patch_size"));
  }

  Patches patches() {
    return new Patches(patch[0], patch[1], patch[2]);
  }

  /**
   * A head's numbers that rotate with frame, row and column: rows and columns a sixth's pairs each,
   * frames the rest.
   */
  int[] rotaryDims() {
    int space = 2 * (dims.headDim() / 6);
    return new int[] {dims.headDim() - 2 * space, space, space};
  }

  double rotaryTheta() {
    return ROTARY_THETA;
  }
}
