package io.github.sparsevdit.checkpoint;

import java.nio.file.Path;

/**
 * A LoRA file to merge into a denoiser's weights when they are loaded.
 *
 * @param file safetensors, with diffusers' names, the original repository's, or musubi's
 * @param scale its strength; 1 as it was trained
 */
public record Lora(Path file, double scale) {
  public Lora {
    if (!Double.isFinite(scale)) {
      throw new IllegalArgumentException(
          "%s: the scale is %s; expected a finite number".formatted(file, scale));
    }
  }
}
