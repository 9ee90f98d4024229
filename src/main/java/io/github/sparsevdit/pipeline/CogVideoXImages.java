package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.media.Resampling;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.vae.Encoded;
import io.github.sparsevdit.model.vae.Vae;
import io.github.sparsevdit.model.vae.VaeListener;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Map;

/**
 * CogVideoX's image: sampled from the VAE's distribution, as the first latent frame beside the
 * noisy ones, and zeros beside the others. Source: diffusers' CogVideoXImageToVideoPipeline.
 */
final class CogVideoXImages implements ImageEncoder {
  private static final long OTHER_NOISE = 0x9e3779b97f4a7c15L; // not the noise the run begins with

  private final PipelineParts.Place place;
  private final Geometry geometry;

  private CogVideoXImages(PipelineParts.Place place, Geometry geometry) {
    this.place = place;
    this.geometry = geometry;
  }

  static ImageEncoder of(PipelineParts.Place place, Geometry geometry) {
    return geometry.imageLatentChannels() > 0 && place.has("vae")
        ? new CogVideoXImages(place, geometry)
        : null;
  }

  @Override
  public boolean sampled() {
    return true;
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
    return place.encodingBytes(picture(latents));
  }

  private long[] picture(long[] latents) {
    long[] channelsFirst = {latents[1], 1, latents[2], latents[3]};
    return place.video(channelsFirst, geometry);
  }

  @Override
  public Map<Part, Tensor> encode(Images images, long[] latents, DenoisingProgress progress) {
    try (Vae vae = place.vae();
        Arena temporary = Arena.ofShared()) {
      long[] shape = picture(latents);
      float[] pixels =
          Resampling.LANCZOS
              .resize(images.first(), Math.toIntExact(shape[3]), Math.toIntExact(shape[2]))
              .planes(new float[] {2, 2, 2}, new float[] {-1, -1, -1});
      Tensor video = Tensor.ofFloats(temporary, pixels, shape);
      VaeListener listener = Stages.listener(progress, DenoisingProgress.Stage.IMAGE);
      try (Encoded encoded = vae.encode(video, place.tiling(), listener)) {
        Tensor sampled = sampled(encoded, images, temporary);
        vae.normalise(sampled);
        float[] frame = sampled.toFloats();
        long elements = latents[0] * latents[1] * latents[2] * latents[3];
        float[] all = new float[Math.toIntExact(elements)]; // frames first: the picture's is first
        System.arraycopy(frame, 0, all, 0, frame.length);
        return Map.of(Part.LATENTS, Tensor.ofFloats(Arena.ofAuto(), all, latents));
      }
    }
  }

  /** Mean + deviation · noise. */
  private static Tensor sampled(Encoded encoded, Images images, Arena arena) {
    long[] shape = encoded.mean().shape();
    float[] mean = encoded.mean().toFloats();
    Tensor noise = images.noise();
    if (noise == null) {
      noise = Tensor.ofFloats(arena, new float[mean.length], shape);
      Noise.fill(noise, images.seed() ^ OTHER_NOISE);
    } else if (noise.elements() != mean.length) {
      throw new IllegalArgumentException(
          "the image's noise is %s; expected FP32 %s".formatted(noise, Arrays.toString(shape)));
    }
    float[] deviation = encoded.deviation().toFloats();
    float[] random = noise.toFloats();
    for (int i = 0; i < mean.length; i++) {
      mean[i] += deviation[i] * random[i];
    }
    return Tensor.ofFloats(arena, mean, shape);
  }
}
