package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConfigFile;
import java.util.List;

/** The sizes of a Wan VAE (diffusers' AutoencoderKLWan). */
record WanVaeConfig(
    int base,
    int decoderBase,
    int latents,
    List<Integer> multiples,
    int resnets,
    List<Boolean> downsampleInTime,
    boolean residual,
    int inChannels,
    int outChannels,
    int patch,
    int pixels,
    LatentScale scale) {
  private static final List<Double> MEAN =
      List.of(
          -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715,
          0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921);
  private static final List<Double> DEVIATION =
      List.of(
          2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652,
          1.5579, 1.6382, 1.1253, 2.8251, 1.9160);

  static WanVaeConfig of(ConfigFile file) {
    int base = file.count("base_dim", 96, 1);
    int latents = file.count("z_dim", 16, 1);
    int patch = file.has("patch_size") ? file.count("patch_size", 1, 1) : 1;
    int pixels = file.count("scale_factor_spatial", 8, 1);
    List<Integer> multiples = file.counts("dim_mult", List.of(1, 2, 4, 4));
    List<Boolean> inTime = file.flags("temperal_downsample", List.of(false, true, true));
    file.requireEmpty("attn_scales");
    if (inTime.size() != multiples.size() - 1) {
      throw file.wrong("temperal_downsample", "one entry less than dim_mult's " + multiples.size());
    }
    if (pixels != (1 << (multiples.size() - 1)) * patch) {
      throw file.wrong(
          "scale_factor_spatial",
          "%d, of %d halvings and patches of %d"
              .formatted((1 << (multiples.size() - 1)) * patch, multiples.size() - 1, patch));
    }
    int halvings = (int) inTime.stream().filter(each -> each).count();
    file.require("scale_factor_temporal", Integer.toString(1 << halvings), "4");
    return new WanVaeConfig(
        base,
        file.has("decoder_base_dim") ? file.count("decoder_base_dim", base, 1) : base,
        latents,
        multiples,
        file.count("num_res_blocks", 2, 1),
        inTime,
        file.flag("is_residual", false),
        file.count("in_channels", 3, 1),
        file.count("out_channels", 3, 1),
        patch,
        pixels,
        LatentScale.perChannel(
            file,
            latents,
            file.numbers("latents_mean", MEAN),
            file.numbers("latents_std", DEVIATION)));
  }

  int frames() {
    return 1 << (int) downsampleInTime.stream().filter(each -> each).count();
  }
}
