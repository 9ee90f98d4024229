package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.media.Picture;
import io.github.sparsevdit.internal.media.Resampling;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.text.ClipVisionEncoder;
import io.github.sparsevdit.model.vae.Encoded;
import io.github.sparsevdit.model.vae.Vae;
import io.github.sparsevdit.model.vae.VaeListener;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Files;
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

  private WanImages(PipelineParts.Place place, Geometry geometry, boolean firstFrames) {
    this.place = place;
    this.geometry = geometry;
    this.firstFrames = firstFrames;
  }

  static ImageEncoder of(PipelineParts.Place place, Geometry geometry) {
    Path index = place.of("model_index.json");
    boolean expands =
        place.has("vae") && Files.exists(index) && Json.read(index).bool("expand_timesteps", false);
    boolean takesImages = expands || geometry.imageLatentChannels() > 0;
    return takesImages && place.has("vae") ? new WanImages(place, geometry, expands) : null;
  }

  @Override
  public boolean sampled() {
    return false;
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
    long[] video = video(latents);
    long given = Arrays.stream(video).reduce(Float.BYTES, (all, size) -> all * size);
    return given + place.encodingBytes(video);
  }

  /** What is encoded: the whole video, or its first frame. */
  private long[] video(long[] latents) {
    long[] video = place.video(latents, geometry);
    video[1] = firstFrames ? 1 : video[1];
    return video;
  }

  @Override
  public Map<Part, Tensor> encode(Images images, long[] latents, DenoisingProgress progress) {
    Map<Part, Tensor> parts = new EnumMap<>(Part.class);
    try (Vae vae = place.vae()) {
      Tensor encoded = encoded(vae, images, video(latents), progress);
      parts.put(
          firstFrames ? Part.FIRST_FRAMES : Part.LATENTS,
          firstFrames ? encoded : withMask(encoded, images.last() != null, latents));
    }
    if (geometry.usualImage() > 0) {
      parts.put(Part.IMAGE, features(images.first()));
    }
    return parts;
  }

  /** The normalised mean of a video that begins with a picture, and may end with another. */
  private Tensor encoded(Vae vae, Images images, long[] shape, DenoisingProgress progress) {
    try (Arena temporary = Arena.ofShared()) {
      long elements = shape[0] * shape[1] * shape[2] * shape[3];
      Tensor video =
          Tensor.of(
              temporary.allocate(elements * Float.BYTES, 64),
              ElementType.FP32,
              shape); // zeros, which are grey
      put(video, 0, images.first());
      if (images.last() != null) {
        put(video, shape[1] - 1, images.last());
      }
      VaeListener listener = Stages.listener(progress, DenoisingProgress.Stage.IMAGE);
      try (Encoded encoded = vae.encode(video, place.tiling(), listener)) {
        vae.normalise(encoded.mean());
        return Tensor.ofFloats(Arena.ofAuto(), encoded.mean().toFloats(), encoded.mean().shape());
      }
    }
  }

  private static void put(Tensor video, long frame, Picture picture) {
    int height = Math.toIntExact(video.size(2));
    int width = Math.toIntExact(video.size(3));
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
  private Tensor withMask(Tensor video, boolean last, long[] latents) {
    int each = Math.toIntExact(geometry.imageLatentChannels() - video.size(0));
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
    long[] shape = {geometry.imageLatentChannels(), latents[1], latents[2], latents[3]};
    return Tensor.ofFloats(Arena.ofAuto(), all, shape);
  }

  private Tensor features(Picture picture) {
    float[] pixels = ClipPreprocessing.read(place.of("image_processor")).apply(picture);
    try (ClipVisionEncoder encoder =
        ClipVisionEncoder.open(
            place.of("image_encoder"),
            place.variant("image_encoder"),
            place.backend(),
            place.type())) {
      return encoder.encode(pixels);
    }
  }
}
