package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.checkpoint.GenerationConfig;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.estimate.VideoSizes;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.pattern.Sequence;
import java.util.Arrays;
import java.util.List;

/**
 * How large a run's latents are.
 *
 * @param added how many of the frames come before those of the video (CogVideoX1.5), so that all
 *     are whole patches
 */
record LatentSize(int frames, int height, int width, int added) {
  /** What the options ask for; else what the checkpoint says, or its model's usual size. */
  static LatentSize of(Generator generator, GenerateOptions options) {
    int[] size = resolved(generator, options);
    int patch = generator.geometry().patch()[0];
    int frames = Math.ceilDiv(size[0], patch) * patch;
    return new LatentSize(frames, size[1], size[2], frames - size[0]);
  }

  private static int[] resolved(Generator generator, GenerateOptions options) {
    int[] patch = generator.geometry().patch();
    if (options.latents() != null) {
      int[] given = options.latents();
      requirePatches("latents %dx%dx%d".formatted(given[0], given[1], given[2]), given, patch);
      return given;
    }
    ModelProfile profile = generator.profile();
    if (options.video() != null) {
      return ofVideo(options.video(), profile, patch);
    }
    GenerationConfig config = generator.config();
    if (config.latents() != null) {
      requirePatches(
          config.file() + ": latents " + Arrays.toString(config.latents()),
          config.latents(),
          patch);
      return config.latents();
    }
    List<ModelProfile.Run> usual = profile.runs();
    if (usual.isEmpty()) {
      throw new IllegalArgumentException(
          "the checkpoint does not say how large its latents are; give latents"
              + " FRAMESxHEIGHTxWIDTH");
    }
    ModelProfile.Run run = usual.getFirst();
    return ofVideo(new int[] {run.frames(), run.height(), run.width()}, profile, patch);
  }

  private static int[] ofVideo(int[] video, ModelProfile profile, int[] patch) {
    String given = "video %dx%dx%d".formatted(video[0], video[1], video[2]);
    requirePositive(given, video);
    String frames = VideoSizes.refuseFrames(video[0], profile.vaeFrames());
    if (frames != null) {
      throw new IllegalArgumentException(given + ": " + frames);
    }
    int pixels = profile.vaePixels();
    String size =
        VideoSizes.refuseSize(new int[] {video[1], video[2]}, patch[1] * pixels, patch[2] * pixels);
    if (size != null) {
      throw new IllegalArgumentException(given + size);
    }
    return new int[] {
      (video[0] - 1) / profile.vaeFrames() + 1, video[1] / pixels, video[2] / pixels
    };
  }

  private static void requirePositive(String where, int[] size) {
    if (size[0] < 1 || size[1] < 1 || size[2] < 1) {
      throw new IllegalArgumentException(where + ": expected three sizes of at least 1");
    }
  }

  /** Latents are cut into tokens of some frames, rows and columns. */
  private static void requirePatches(String where, int[] size, int[] patch) {
    requirePositive(where, size);
    if (size[0] % patch[0] != 0) {
      throw new IllegalArgumentException(
          "%s: the frames of this model's latents must be a multiple of %d; the nearest are %s"
              .formatted(where, patch[0], VideoSizes.nearest(size[0], patch[0])));
    }
    String refusal = VideoSizes.refuseSize(new int[] {size[1], size[2]}, patch[1], patch[2]);
    if (refusal != null) {
      throw new IllegalArgumentException(where + refusal);
    }
  }

  /** Frames, height and width. */
  int[] sizes() {
    return new int[] {frames, height, width};
  }

  /** The shape of a model's latents: [channels, frames, height, width], or frames first. */
  long[] shape(int channels, boolean framesFirst) {
    return framesFirst
        ? new long[] {frames, channels, height, width}
        : new long[] {channels, frames, height, width};
  }

  /** What one self-attention call sees, with so many text tokens. */
  Sequence sequence(Geometry geometry, int textTokens) {
    return geometry.sequence(frames, height, width, textTokens);
  }
}
