package io.github.sparsevdit.model.cogvideox;

import io.github.sparsevdit.model.VaeSizes;
import io.github.sparsevdit.model.parts.Family;
import java.util.List;
import java.util.Set;

/**
 * CogVideoX1.5, text and image to video. Defaults: github.com/zai-org/CogVideo (inference/
 * cli_demo.py) and the published Diffusers folders.
 */
public final class CogVideoX {
  /** What the published pipelines set apart from diffusers' defaults of their schedulers. */
  public static final String SCHEDULER =
      "{\"prediction_type\": \"v_prediction\", \"timestep_spacing\": \"trailing\","
          + " \"rescale_betas_zero_snr\": true, \"snr_shift_scale\": 1.0}";

  public static final Family FAMILY =
      new Family(
          "CogVideoX",
          "CogVideoXTransformer3DModel",
          "AutoencoderKLCogVideoX",
          true,
          false,
          Set.of(),
          List.of("time_embedding", "ofs_embedding"),
          new Family.Defaults("CogVideoXDDIMScheduler", SCHEDULER, 6, 50, 16),
          vae ->
              new VaeSizes(
                  vae.count("temporal_compression_ratio", 4, 1),
                  1 << (vae.length("block_out_channels", 4) - 1)),
          config -> new CogVideoXGeometry(CogVideoXConfig.of(config)),
          CogVideoXTransformer::new);

  private CogVideoX() {}
}
