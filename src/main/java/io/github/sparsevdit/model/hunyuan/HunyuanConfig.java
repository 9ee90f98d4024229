package io.github.sparsevdit.model.hunyuan;

import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.ModelDims;
import io.github.sparsevdit.model.parts.Patches;
import java.util.Arrays;

/** What HunyuanVideo's config.json says. */
public record HunyuanConfig(
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
  private static final int REFINER_RATIO = 4;

  public static HunyuanConfig of(ConfigFile config) {
    config.require("qk_norm", "rms_norm", "rms_norm");
    if (config.has("image_condition_type")) {
      throw config.wrong("image_condition_type", "null: image-to-video is not supported");
    }
    ModelDims dims =
        new ModelDims(
            config.count("num_attention_heads", 24, 1), config.count("attention_head_dim", 128, 1));
    int[] rotary = config.triple("rope_axes_dim", 16, 56, 56);
    boolean pairs = Arrays.stream(rotary).allMatch(dim -> dim % 2 == 0);
    if (!pairs || Arrays.stream(rotary).sum() != dims.headDim()) {
      throw config.wrong(
          "rope_axes_dim", "three even integers whose sum is the head dim " + dims.headDim());
    }
    int in = config.count("in_channels", 16, 1);
    HunyuanConfig read =
        new HunyuanConfig(
            dims,
            config.count("num_layers", 20, 0),
            config.count("num_single_layers", 40, 0),
            config.count("num_refiner_layers", 2, 0),
            (int) (dims.width() * config.positive("mlp_ratio", 4)),
            in,
            config.isNull("out_channels") ? in : config.count("out_channels", 16, 1),
            config.count("text_embed_dim", 4096, 1),
            config.count("pooled_projection_dim", 768, 1),
            config.flag("guidance_embeds", true),
            config.count("patch_size_t", 1, 1),
            config.count("patch_size", 2, 1),
            rotary,
            config.positive("rope_theta", 256));
    config.requireAllKnown("HunyuanVideoTransformer3DModel");
    return read;
  }

  /** The refiner's blocks keep diffusers' ratio of 4, whatever mlp_ratio is. */
  int refinerFfn() {
    return REFINER_RATIO * dims.width();
  }

  Patches patches() {
    return new Patches(patchFrames, patch, patch);
  }
}
