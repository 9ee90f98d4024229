package io.github.sparsevdit.model;

import java.nio.file.Path;
import java.util.Set;

/**
 * How many frames and pixels a latent stands for, as diffusers' pipelines read it from a VAE's
 * config.json. Nothing else of a VAE is used.
 *
 * @param frames per latent frame, but for the first
 * @param pixels per latent row and column
 */
public record VaeSizes(int frames, int pixels) {
  private static final Set<String> CLASSES =
      Set.of("AutoencoderKLWan", "AutoencoderKLHunyuanVideo", "AutoencoderKLCogVideoX");

  /**
   * Reads a VAE's config.json. Every entry of it is followed, listed among those that change
   * nothing ({@code settings.json}) or refused by file, name and value; an absent one means
   * diffusers' default.
   *
   * @param family the transformer's class, for a configuration that names none of its own
   */
  public static VaeSizes read(Path file, String family) {
    ConfigFile config = ConfigFile.read(file);
    String usual =
        switch (family) {
          case "HunyuanVideoTransformer3DModel" -> "AutoencoderKLHunyuanVideo";
          case "CogVideoXTransformer3DModel" -> "AutoencoderKLCogVideoX";
          default -> "AutoencoderKLWan";
        };
    String className = config.text("_class_name", usual);
    if (!CLASSES.contains(className)) {
      throw config.wrong("_class_name", "one of " + String.join(", ", CLASSES));
    }
    VaeSizes sizes =
        switch (className) {
          case "AutoencoderKLWan" ->
              new VaeSizes(
                  config.count("scale_factor_temporal", 4, 1),
                  config.count("scale_factor_spatial", 8, 1));
          case "AutoencoderKLHunyuanVideo" ->
              new VaeSizes(
                  config.count("temporal_compression_ratio", 4, 1),
                  config.count("spatial_compression_ratio", 8, 1));
          default ->
              new VaeSizes(
                  config.count("temporal_compression_ratio", 4, 1),
                  1 << (config.length("block_out_channels", 4) - 1));
        };
    config.requireAllKnown(className);
    return sizes;
  }
}
