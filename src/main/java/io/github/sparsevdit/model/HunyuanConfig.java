package io.github.sparsevdit.model;

/** What HunyuanVideo's config.json says. */
record HunyuanConfig(
    ModelDims dims,
    int dualLayers,
    int singleLayers,
    int refinerLayers,
    int ffn,
    int inChannels,
    int outChannels,
    int textFeatures,
    int pooledFeatures,
    boolean guidance,
    int patchFrames,
    int patch,
    int[] rotaryDims,
    double rotaryTheta) {
  static final float EPSILON = 1e-6f;
  static final int TIME_FREQUENCIES = 256;

  static HunyuanConfig of(ConfigFile config) {
    config.expect("qk_norm", "rms_norm");
    if (config.has("image_condition_type")) {
      throw new IllegalArgumentException(
          config.where() + ": image_condition_type (image-to-video) is not supported");
    }
    ModelDims dims =
        new ModelDims(config.integer("num_attention_heads"), config.integer("attention_head_dim"));
    return new HunyuanConfig(
        dims,
        config.integer("num_layers"),
        config.integer("num_single_layers"),
        config.integer("num_refiner_layers"),
        (int) (dims.width() * config.number("mlp_ratio", 4)),
        config.integer("in_channels"),
        config.integer("out_channels"),
        config.integer("text_embed_dim"),
        config.integer("pooled_projection_dim"),
        config.flag("guidance_embeds", true),
        config.integer("patch_size_t"),
        config.integer("patch_size"),
        config.triple("rope_axes_dim"),
        config.number("rope_theta", 256));
  }

  Patches patches() {
    return new Patches(patchFrames, patch, patch);
  }
}
