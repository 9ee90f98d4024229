package io.github.sparsevdit.model;

import java.nio.file.Path;

/**
 * How many frames and pixels a latent stands for, as diffusers' pipelines read it from a VAE's
 * config.json. Nothing else of a VAE is used.
 *
 * @param frames per latent frame, but for the first
 * @param pixels per latent row and column
 */
public record VaeSizes(int frames, int pixels) {
  /**
   * Reads a VAE's config.json. Every entry of it is followed, listed among those that change
   * nothing ({@code settings.json}) or refused by file, name and value; an absent one means
   * diffusers' default.
   *
   * @param transformer the denoiser's class, for a configuration that names none of its own
   */
  public static VaeSizes read(Path file, String transformer) {
    ConfigFile config = ConfigFile.read(file);
    String className = config.text("_class_name", Families.of(transformer).vae());
    VaeSizes sizes =
        Families.ALL.stream()
            .filter(family -> family.vae().equals(className))
            .findFirst()
            .orElseThrow(() -> config.wrong("_class_name", "one of " + Families.names(Family::vae)))
            .vaeSizes()
            .apply(config);
    config.requireAllKnown(className);
    return sizes;
  }
}
