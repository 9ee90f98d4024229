package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConfigFile;
import java.util.List;

/** The sizes of a HunyuanVideo VAE (diffusers' AutoencoderKLHunyuanVideo). */
record HunyuanVaeConfig(
    int latents,
    List<Integer> channels,
    int resnets,
    int groups,
    boolean attention,
    double factor) {
  static HunyuanVaeConfig of(ConfigFile file) {
    file.require("in_channels", "3", "3");
    file.require("out_channels", "3", "3");
    file.require("act_fn", "silu", "silu");
    file.require("spatial_compression_ratio", "8", "8");
    file.require("temporal_compression_ratio", "4", "4");
    file.requireEach("down_block_types", "HunyuanVideoDownBlock3D");
    file.requireEach("up_block_types", "HunyuanVideoUpBlock3D");
    List<Integer> channels = file.counts("block_out_channels", List.of(128, 256, 512, 512));
    int groups = file.count("norm_num_groups", 32, 1);
    if (channels.size() != 4 || channels.stream().anyMatch(each -> each % groups != 0)) {
      throw file.wrong("block_out_channels", "four multiples of norm_num_groups, " + groups);
    }
    return new HunyuanVaeConfig(
        file.count("latent_channels", 16, 1),
        channels,
        file.count("layers_per_block", 2, 1),
        groups,
        file.flag("mid_block_add_attention", true),
        file.positive("scaling_factor", 0.476986));
  }
}
