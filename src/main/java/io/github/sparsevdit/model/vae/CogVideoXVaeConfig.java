package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConfigFile;
import java.util.List;

/** The sizes of a CogVideoX VAE (diffusers' AutoencoderKLCogVideoX). */
record CogVideoXVaeConfig(
    int latents,
    List<Integer> channels,
    int resnets,
    int groups,
    float epsilon,
    int sampleHeight,
    int sampleWidth,
    LatentScale scale) {
  static CogVideoXVaeConfig of(ConfigFile file) {
    file.require("in_channels", "3", "3");
    file.require("out_channels", "3", "3");
    file.require("act_fn", "silu", "silu");
    file.require("temporal_compression_ratio", "4", "4");
    file.requireEach("down_block_types", "CogVideoXDownBlock3D");
    file.requireEach("up_block_types", "CogVideoXUpBlock3D");
    file.require("use_quant_conv", "false", "false");
    file.require("use_post_quant_conv", "false", "false");
    for (String shift : List.of("shift_factor", "latents_mean", "latents_std")) {
      if (file.has(shift)) {
        throw file.wrong(shift, "null; nothing else is supported");
      }
    }
    List<Integer> channels = file.counts("block_out_channels", List.of(128, 256, 256, 512));
    int groups = file.count("norm_num_groups", 32, 1);
    if (channels.size() < 3 || channels.stream().anyMatch(each -> each % groups != 0)) {
      throw file.wrong(
          "block_out_channels", "three or more multiples of norm_num_groups, " + groups);
    }
    int latents = file.count("latent_channels", 16, 1);
    double factor = file.positive("scaling_factor", 1.15258426);
    boolean inverted = file.flag("invert_scale_latents", false);
    return new CogVideoXVaeConfig(
        latents,
        channels,
        file.count("layers_per_block", 3, 1),
        groups,
        (float) file.positive("norm_eps", 1e-6),
        file.count("sample_height", 480, 1),
        file.count("sample_width", 720, 1),
        LatentScale.of(factor, inverted ? 1 / factor : factor, latents));
  }

  int pixels() {
    return 1 << (channels.size() - 1);
  }
}
