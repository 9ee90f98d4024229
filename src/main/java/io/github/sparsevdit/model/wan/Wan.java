package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.model.VaeSizes;
import io.github.sparsevdit.model.parts.Family;
import java.util.List;
import java.util.Set;

/**
 * Wan2.1 and Wan2.2, text and image to video. Defaults: github.com/Wan-Video/Wan2.1 (generate.py)
 * and the published Diffusers folders.
 */
public final class Wan {
  public static final Family FAMILY =
      new Family(
          "Wan",
          "WanTransformer3DModel",
          "AutoencoderKLWan",
          false,
          false,
          Set.of("CogVideoXDPMScheduler"), // a step takes more than Wan's pipeline gives
          List.of("time_embedder", "image_embedder", "scale_shift_table"),
          new Family.Defaults("UniPCMultistepScheduler", scheduler(5), 5, 50, 16),
          vae ->
              new VaeSizes(
                  vae.count("scale_factor_temporal", 4, 1),
                  vae.count("scale_factor_spatial", 8, 1)),
          config -> new WanGeometry(WanConfig.of(config)),
          WanTransformer::new,
          new WanNames());

  private Wan() {}

  /** What the published pipelines set apart from diffusers' defaults of UniPC. */
  static String scheduler(double flowShift) {
    return "{\"prediction_type\": \"flow_prediction\", \"use_flow_sigmas\": true,"
        + " \"flow_shift\": "
        + flowShift
        + "}";
  }
}
