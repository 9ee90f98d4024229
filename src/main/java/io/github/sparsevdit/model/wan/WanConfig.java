package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.ModelDims;
import io.github.sparsevdit.model.parts.Patches;

/** What Wan's config.json says. */
public record WanConfig(
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

  public static WanConfig of(ConfigFile config) {
    config.require("qk_norm", "rms_norm_across_heads", "rms_norm_across_heads");
    config.require("cross_attn_norm", "true", "true");
    if (config.has("pos_embed_seq_len")) {
      throw config.wrong("pos_embed_seq_len", "null: first-last-frame models are not supported");
    }
    ModelDims dims =
        new ModelDims(
            config.count("num_attention_heads", 40, 1), config.count("attention_head_dim", 128, 1));
    int image = config.has("image_dim") ? config.count("image_dim", 0, 1) : 0;
    requireImageBranch(config, image > 0, dims.width());
    int in = config.count("in_channels", 16, 1);
    WanConfig read =
        new WanConfig(
            dims,
            config.count("num_layers", 40, 1),
            config.count("ffn_dim", 13824, 1),
            in,
            config.isNull("out_channels") ? in : config.count("out_channels", 16, 1),
            config.count("text_dim", 4096, 1),
            image,
            config.count("freq_dim", 256, 2),
            (float) config.positive("eps", 1e-6),
            config.triple("patch_size", 1, 2, 2));
    config.requireAllKnown("WanTransformer3DModel");
    return read;
  }

  /** An image's features are attended to by layers of their own, as wide as the model. */
  private static void requireImageBranch(ConfigFile config, boolean image, int width) {
    int added = config.has("added_kv_proj_dim") ? config.count("added_kv_proj_dim", 0, 1) : 0;
    if (added != (image ? width : 0)) {
      throw config.wrong(
          "added_kv_proj_dim",
          image ? width + ", the model's width, beside image_dim" : "null without image_dim");
    }
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
