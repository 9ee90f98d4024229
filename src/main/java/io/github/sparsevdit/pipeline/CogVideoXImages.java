package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.media.Resampling;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.vae.Vae;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.Map;

/**
 * CogVideoX's image: sampled from the VAE's distribution, as the first latent frame beside the
 * noisy ones, and zeros beside the others. Source: diffusers' CogVideoXImageToVideoPipeline.
 */
final class CogVideoXImages implements ImageEncoder {
  private static final long OTHER_NOISE = 0x9e3779b97f4a7c15L; // not the noise the run begins with

  private final PipelineParts.Place place;
  private final Arena arena = Arena.ofShared();

  private CogVideoXImages(PipelineParts.Place place) {
    this.place = place;
  }

  static ImageEncoder of(PipelineParts.Place place, Geometry geometry) {
    return geometry.imageLatentChannels() > 0 && place.has("vae")
        ? new CogVideoXImages(place)
        : null;
  }

  @Override
  public boolean required() {
    return true;
  }

  @Override
  public String noLast() {
    return "CogVideoX takes the image a video begins with, and none it ends with";
  }

  @Override
  public long memoryBytes(long[] latents) {
    return Vae.memory(place.of("vae"), null, place.vaeType(), latents).needed();
  }

  @Override
  public Map<Part, Tensor> encode(Images images, long[] latents, DenoisingProgress progress) {
    progress.stage(DenoisingProgress.Stage.IMAGE, 0, 1);
    try (Vae vae = Vae.open(place.of("vae"), null, place.backend(), place.vaeType());
        Arena temporary = Arena.ofShared()) {
      int height = Math.toIntExact(latents[2] * vae.sizes().pixels());
      int width = Math.toIntExact(latents[3] * vae.sizes().pixels());
      float[] pixels =
          Resampling.LANCZOS
              .resize(images.first(), width, height)
              .planes(new float[] {2, 2, 2}, new float[] {-1, -1, -1});
      Tensor video =
          Tensor.of(
                  temporary.allocate((long) pixels.length * Float.BYTES, 64),
                  ElementType.FP32,
                  3,
                  1,
                  height,
                  width)
              .copyFrom(pixels);
      Vae.Encoded encoded = vae.encode(video, null);
      Tensor sampled = sampled(encoded, images, temporary);
      float[] frame = vae.normalise(sampled).toFloats();
      long elements = latents[0] * latents[1] * latents[2] * latents[3];
      float[] all = new float[Math.toIntExact(elements)]; // frames first, so the first comes first
      System.arraycopy(frame, 0, all, 0, frame.length);
      Tensor stored =
          Tensor.of(arena.allocate(elements * Float.BYTES, 64), ElementType.FP32, latents)
              .copyFrom(all);
      progress.stage(DenoisingProgress.Stage.IMAGE, 1, 1);
      return Map.of(Part.LATENTS, stored);
    }
  }

  /** Mean + deviation · noise. */
  private static Tensor sampled(Vae.Encoded encoded, Images images, Arena arena) {
    Tensor noise = images.noise();
    if (noise == null) {
      noise =
          Tensor.of(
              arena.allocate(encoded.mean().elements() * Float.BYTES, 64),
              ElementType.FP32,
              encoded.mean().shape());
      Noise.fill(noise, images.seed() ^ OTHER_NOISE);
    }
    float[] mean = encoded.mean().toFloats();
    float[] deviation = encoded.std().toFloats();
    float[] random = noise.toFloats();
    for (int i = 0; i < mean.length; i++) {
      mean[i] += deviation[i] * random[i];
    }
    return Tensor.of(
            arena.allocate((long) mean.length * Float.BYTES, 64),
            ElementType.FP32,
            encoded.mean().shape())
        .copyFrom(mean);
  }

  @Override
  public void close() {
    arena.close();
  }
}
