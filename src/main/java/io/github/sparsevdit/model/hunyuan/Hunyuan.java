package io.github.sparsevdit.model.hunyuan;

import io.github.sparsevdit.model.VaeSizes;
import io.github.sparsevdit.model.parts.Family;
import java.util.List;
import java.util.Set;

/**
 * HunyuanVideo. Defaults: github.com/Tencent/HunyuanVideo (sample_video.py) and diffusers'
 * pipeline.
 */
public final class Hunyuan {
  public static final Family FAMILY =
      new Family(
          "HunyuanVideo",
          "HunyuanVideoTransformer3DModel",
          "AutoencoderKLHunyuanVideo",
          false,
          true,
          Set.of("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"), // they take no sigmas
          List.of("timestep_embedder", "guidance_embedder"),
          new Family.Defaults("FlowMatchEulerDiscreteScheduler", "{\"shift\": 7.0}", 6, 50, 24),
          vae ->
              new VaeSizes(
                  vae.count("temporal_compression_ratio", 4, 1),
                  vae.count("spatial_compression_ratio", 8, 1)),
          config -> new HunyuanGeometry(HunyuanConfig.of(config)),
          HunyuanTransformer::new);

  private Hunyuan() {}
}
