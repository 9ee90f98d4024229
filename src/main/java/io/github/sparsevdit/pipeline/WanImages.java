package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.media.Picture;
import io.github.sparsevdit.internal.media.Resampling;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.text.ClipVisionEncoder;
import io.github.sparsevdit.model.vae.Vae;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;

/**
 * Wan's images. 2.1 and 2.2 A14B take the latents of a video that is the image and then grey, with
 * a mask of the known frames before them, and 2.1 also the image's CLIP features; 2.2 TI2V takes
 * the image's own latent frame. Source: diffusers' WanImageToVideoPipeline.
 */
final class WanImages implements ImageEncoder {
  private static final float[] TO_PLUS_MINUS_1 = {2, 2, 2};
  private static final float[] MINUS_1 = {-1, -1, -1};

  private final PipelineParts.Place place;
  private final Geometry geometry;
  private final boolean firstFrames; // what 2.2 TI2V takes, which works without an image too
  private final Arena arena = Arena.ofShared();

  private WanImages(PipelineParts.Place place, Geometry geometry, boolean firstFrames) {
    this.place = place;
    this.geometry = geometry;
    this.firstFrames = firstFrames;
  }

  static ImageEncoder of(PipelineParts.Place place, Geometry geometry) {
    Path index = place.of("model_index.json");
    boolean expands = place.has("vae") && Json.read(index).bool("expand_timesteps", false);
    boolean takesImages = expands || geometry.imageLatentChannels() > 0;
    return takesImages && place.has("vae") ? new WanImages(place, geometry, expands) : null;
  }

  @Override
  public boolean required() {
    return !firstFrames;
  }

  @Override
  public String noLast() {
    if (firstFrames) {
      return "this model takes the image a video begins with, and none it ends with";
    }
    return geometry.usualImage() > 0
        ? "a last image is for Wan2.2 A14B; Wan2.1's first-last-frame model is not supported"
        : null;
  }

  @Override
  public long memoryBytes(long[] latents) {
    return Vae.memory(place.of("vae"), null, place.vaeType(), latents).needed();
  }

  @Override
  public Map<Part, Tensor> encode(Images images, long[] latents, DenoisingProgress progress) {
    Map<Part, Tensor> parts = new EnumMap<>(Part.class);
    progress.stage(DenoisingProgress.Stage.IMAGE, 0, 1);
    try (Vae vae = Vae.open(place.of("vae"), null, place.backend(), place.vaeType())) {
      if (firstFrames) {
        parts.put(Part.FIRST_FRAMES, stored(encoded(vae, images.first(), null, 1, latents)));
      } else {
        int frames = Math.toIntExact((latents[1] - 1) * vae.sizes().frames() + 1);
        Tensor video = encoded(vae, images.first(), images.last(), frames, latents);
        parts.put(
            Part.LATENTS, withMask(video, vae.sizes().frames(), images.last() != null, latents));
      }
    }
    if (geometry.usualImage() > 0) {
      parts.put(Part.IMAGE, features(images.first()));
    }
    progress.stage(DenoisingProgress.Stage.IMAGE, 1, 1);
    return parts;
  }

  /** The normalised mean of a video that begins with the picture, and may end with another. */
  private Tensor encoded(Vae vae, Picture first, Picture last, int frames, long[] latents) {
    int pixels = vae.sizes().pixels();
    int height = Math.toIntExact(latents[2] * pixels);
    int width = Math.toIntExact(latents[3] * pixels);
    try (Arena temporary = Arena.ofShared()) {
      Tensor video =
          Tensor.of(
              temporary.allocate(3L * frames * height * width * Float.BYTES, 64),
              ElementType.FP32,
              3,
              frames,
              height,
              width); // zeros, which are grey
      put(video, 0, first, height, width);
      if (last != null) {
        put(video, frames - 1, last, height, width);
      }
      return vae.normalise(vae.encode(video, null).mean());
    }
  }

  private static void put(Tensor video, int frame, Picture picture, int height, int width) {
    float[] planes =
        Resampling.LANCZOS.resize(picture, width, height).planes(TO_PLUS_MINUS_1, MINUS_1);
    int size = height * width;
    for (int channel = 0; channel < 3; channel++) {
      video
          .select(0, channel)
          .select(0, frame)
          .copyFrom(Arrays.copyOfRange(planes, channel * size, (channel + 1) * size));
    }
  }

  /** Before the latents a channel for each frame of a latent one: 1 where the frame is known. */
  private Tensor withMask(Tensor video, int each, boolean last, long[] latents) {
    int plane = Math.toIntExact(latents[2] * latents[3]);
    int frames = Math.toIntExact(latents[1]);
    float[] values = video.toFloats();
    float[] all = new float[each * frames * plane + values.length];
    for (int channel = 0; channel < each; channel++) {
      int begin = channel * frames * plane;
      Arrays.fill(all, begin, begin + plane, 1);
    }
    if (last) {
      int begin = ((each - 1) * frames + frames - 1) * plane;
      Arrays.fill(all, begin, begin + plane, 1);
    }
    System.arraycopy(values, 0, all, each * frames * plane, values.length);
    long channels = each + video.size(0);
    return stored(all, channels, latents[1], latents[2], latents[3]);
  }

  private Tensor features(Picture picture) {
    float[] pixels = ClipPreprocessing.read(place.of("image_processor")).apply(picture);
    try (ClipVisionEncoder encoder =
        ClipVisionEncoder.open(place.of("image_encoder"), null, place.backend(), place.type())) {
      Tensor features = encoder.encode(pixels);
      return stored(features.toFloats(), features.shape());
    }
  }

  private Tensor stored(Tensor tensor) {
    return stored(tensor.toFloats(), tensor.shape());
  }

  private Tensor stored(float[] values, long... shape) {
    return Tensor.of(
            arena.allocate((long) values.length * Float.BYTES, 64), ElementType.FP32, shape)
        .copyFrom(values);
  }

  @Override
  public void close() {
    arena.close();
  }
}
