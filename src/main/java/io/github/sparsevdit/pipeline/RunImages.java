package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.media.Picture;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** The images that a run's options name, and what they are encoded to. For one thread at a time. */
final class RunImages {
  private static final int LEAST_SIDE = 16; // in pixels

  private final ImageEncoder encoder; // null where images are not taken
  private final GenerateOptions options;
  private final Picture first; // null for none
  private final Picture last; // null for none
  private final Map<Long, Map<Part, Tensor>> parts = new HashMap<>(); // by seed

  /**
   * Reads the images. Refuses those that the model does not take, and says which it needs.
   *
   * @param encoder null where images are not taken
   * @param fromText whether the run begins with a text, and not with what was encoded before
   */
  RunImages(ImageEncoder encoder, GenerateOptions options, boolean fromText) {
    this.encoder = encoder;
    this.options = options;
    first = picture("image", options.image());
    last = picture("last-image", options.lastImage());
    if (encoder == null && first != null) {
      throw new IllegalArgumentException(
          "image %s: this model makes videos from text alone, or its folder has no VAE"
              .formatted(options.image()));
    }
    if (last != null && first == null) {
      throw new IllegalArgumentException(
          "last-image %s is given without image, which the video begins with"
              .formatted(options.lastImage()));
    }
    if (last != null && encoder.noLast() != null) {
      throw new IllegalArgumentException("last-image: " + encoder.noLast());
    }
    if (encoder != null && encoder.required() && first == null && fromText) {
      throw new IllegalArgumentException(
          "image is missing: this model makes a video from an image and a text");
    }
  }

  private static Picture picture(String option, Path file) {
    if (file == null) {
      return null;
    }
    try {
      Picture picture = Picture.read(file);
      if (Math.min(picture.width(), picture.height()) < LEAST_SIDE) {
        throw new IllegalArgumentException(
            "%s has %d x %d pixels; expected at least %d a side"
                .formatted(file, picture.width(), picture.height(), LEAST_SIDE));
      }
      return picture;
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(option + " " + e.getMessage(), e);
    }
  }

  /** What encoding takes of memory; 0 without an image. */
  long memoryBytes(long[] latents) {
    return first == null ? 0 : encoder.memoryBytes(latents);
  }

  /** The parts that images add to every conditioning of a run; none without an image. */
  Map<Part, Tensor> parts(long seed, long[] latents) {
    return first == null
        ? Map.of()
        : parts.computeIfAbsent(encoder.sampled() ? seed : 0, unused -> encode(seed, latents));
  }

  private Map<Part, Tensor> encode(long seed, long[] latents) {
    ImageEncoder.Images images = new ImageEncoder.Images(first, last, options.imageNoise(), seed);
    return encoder.encode(images, latents, options.progress());
  }
}
