package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.model.parts.ConfigFile;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What a checkpoint says of its usual runs, in {@code generation_config.json}; null where it says
 * nothing. Any other entry is refused.
 *
 * @param file where it was read, for messages
 * @param latents frames, height and width
 * @param steps of a run
 * @param guidance its scale
 * @param guidance2 that of a second network
 * @param trueGuidance the scale of guidance with a negative prompt beside an embedded one
 * @param dynamic whether the scale grows with the steps
 * @param framesPerSecond of its videos
 */
public record GenerationConfig(
    Path file,
    int[] latents,
    Integer steps,
    Double guidance,
    Double guidance2,
    Double trueGuidance,
    boolean dynamic,
    Integer framesPerSecond) {
  private static final String NAME = "generation_config.json";

  /** Of a checkpoint's folder, which need not have one. */
  public static GenerationConfig read(Path folder) {
    Path file = folder.resolve(NAME);
    ConfigFile config = Files.exists(file) ? ConfigFile.read(file) : ConfigFile.parse("{}", NAME);
    GenerationConfig read =
        new GenerationConfig(
            file,
            config.has("latents") ? config.triple("latents") : null,
            config.has("num_inference_steps") ? config.count("num_inference_steps", 1, 1) : null,
            number(config, "guidance_scale"),
            number(config, "guidance_scale_2"),
            number(config, "true_cfg_scale"),
            config.flag("use_dynamic_cfg", false),
            config.has("fps") ? config.count("fps", 1, 1) : null);
    config.requireAllKnown(NAME);
    return read;
  }

  private static Double number(ConfigFile config, String key) {
    return config.has(key) ? config.number(key) : null;
  }
}
