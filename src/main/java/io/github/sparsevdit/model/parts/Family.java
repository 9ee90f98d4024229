package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.VaeSizes;
import java.util.List;
import java.util.Set;
import java.util.function.Function;

/**
 * All that sets one model family apart from the others, in one place: nothing else in the library
 * asks which family a model belongs to. docs/adding-a-family.md adds one step by step.
 *
 * @param name for messages
 * @param transformer diffusers' class of the denoiser, {@code _class_name} in its config.json
 * @param vae diffusers' class of the VAE its pipelines decode with
 * @param framesFirst whether latents are [frames, channels, height, width] and not [channels,
 *     frames, height, width]
 * @param givesSigmas whether its pipeline hands the scheduler σ from 1 to 1/n, and not a number of
 *     steps
 * @param otherSchedulers schedulers of this library that its pipeline cannot drive, by class
 * @param inFp32 parts of the names of weights that stay FP32, whatever is computed in (diffusers'
 *     {@code _keep_in_fp32_modules}, but for norms, which are used as they are stored)
 * @param defaults of the published pipelines
 * @param vaeSizes reads the sizes out of a VAE's config.json
 * @param geometry reads the sizes out of the denoiser's config.json
 * @param maker makes the denoiser
 * @param otherNames what another repository calls its weights; null where only diffusers' are read
 */
public record Family(
    String name,
    String transformer,
    String vae,
    boolean framesFirst,
    boolean givesSigmas,
    Set<String> otherSchedulers,
    List<String> inFp32,
    Defaults defaults,
    Function<ConfigFile, VaeSizes> vaeSizes,
    Function<ConfigFile, Geometry> geometry,
    Maker maker,
    OtherNames otherNames) {
  /** A family whose weights are read in diffusers' layout alone. */
  public Family(
      String name,
      String transformer,
      String vae,
      boolean framesFirst,
      boolean givesSigmas,
      Set<String> otherSchedulers,
      List<String> inFp32,
      Defaults defaults,
      Function<ConfigFile, VaeSizes> vaeSizes,
      Function<ConfigFile, Geometry> geometry,
      Maker maker) {
    this(
        name,
        transformer,
        vae,
        framesFirst,
        givesSigmas,
        otherSchedulers,
        inFp32,
        defaults,
        vaeSizes,
        geometry,
        maker,
        null);
  }

  /**
   * What a run takes where neither caller nor checkpoint says otherwise.
   *
   * @param scheduler diffusers' class
   * @param schedulerConfig its entries that differ from the class's own defaults, as JSON
   * @param guidance scale, or the one that is embedded
   * @param steps of a run
   * @param framesPerSecond of its videos
   */
  public record Defaults(
      String scheduler, String schedulerConfig, double guidance, int steps, int framesPerSecond) {}

  /** Makes a denoiser. */
  public interface Maker {
    /**
     * @param name to call it by
     * @param weights that the denoiser closes; the caller does if this throws
     */
    BaseTransformer<?> make(String name, ConfigFile config, Weights weights, Backend backend);
  }

  public Family {
    otherSchedulers = Set.copyOf(otherSchedulers);
    inFp32 = List.copyOf(inFp32);
  }

  /** Whether a weight stays FP32. */
  public boolean inFp32(String weight) {
    return inFp32.stream().anyMatch(weight::contains);
  }
}
