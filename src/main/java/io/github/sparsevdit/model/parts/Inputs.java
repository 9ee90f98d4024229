package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;

/** Checks of what a forward pass is given. */
public final class Inputs {
  private Inputs() {}

  /**
   * The latents have the channels of the model's output, and the conditioning's latents those that
   * are left to channels; or the latents have all of them.
   *
   * @param dim of the channels
   * @param channels that the model takes
   * @param given that it gives
   */
  public static void requireLatents(
      long[] latents, Conditioning conditioning, int dim, int channels, int given) {
    Tensor image = conditioning.latents();
    boolean whole = latents.length == 4 && latents[dim] == channels && image == null;
    if (whole) {
      return;
    }
    if (latents.length != 4 || latents[dim] != given) {
      throw new IllegalArgumentException(
          "the latents are %s; expected 4 dimensions, with %d channels in dimension %d"
              .formatted(Arrays.toString(latents), given, dim));
    }
    if (channels == given) {
      requireNone("image latents", image);
    }
    long[] expected = latents.clone();
    expected[dim] = channels - given;
    if (image == null) {
      throw new IllegalArgumentException(
          "this model needs an image's latents beside the noisy ones: latents "
              + Arrays.toString(expected));
    }
    requireVideo("the conditioning's latents", image, expected);
  }

  /** Given frames, if any, are fewer than the latents', like those otherwise, and whole patches. */
  public static void requireFirstFrames(long[] latents, Tensor given, int framesPerPatch) {
    if (given == null) {
      return;
    }
    long[] expected = latents.clone();
    long frames = given.size(1);
    expected[1] = frames;
    if (given.type() != ElementType.FP32
        || !Arrays.equals(given.shape(), expected)
        || frames < 1
        || frames >= latents[1]
        || frames % framesPerPatch != 0) {
      throw new IllegalArgumentException(
          "firstFrames are %s; expected FP32 of the latents' shape %s with fewer frames, a multiple of %d"
              .formatted(given, Arrays.toString(latents), framesPerPatch));
    }
  }

  /** Something the model has no use for must not be given. */
  public static void requireNone(String name, Tensor given) {
    if (given != null) {
      throw new IllegalArgumentException("this model takes no " + name + "; given is " + given);
    }
  }

  /** Text padding must not be told to a model that has no use for it. */
  public static void requireNoMask(Conditioning conditioning) {
    if (conditioning.textValid() >= 0) {
      throw new IllegalArgumentException(
          "this model takes no mask: all text tokens count, padding too; given are %d valid tokens of %d"
              .formatted(conditioning.textValid(), conditioning.textTokens()));
    }
  }

  static void requireVideo(String name, Tensor video, long[] shape) {
    requireFp32(name, video);
    if (!Arrays.equals(video.shape(), shape)) {
      throw new IllegalArgumentException(
          name + " is " + video + "; expected " + Arrays.toString(shape));
    }
  }

  public static void requireFeatures(String name, Tensor tensor, long features) {
    if (tensor.size(tensor.rank() - 1) != features) {
      throw new IllegalArgumentException(
          name + " is " + tensor + "; this model takes " + features + " features");
    }
  }

  static void requireFp32(String name, Tensor tensor) {
    if (tensor.type() != ElementType.FP32 || tensor.rank() != 4) {
      throw new IllegalArgumentException(name + " must be FP32 with 4 dimensions: " + tensor);
    }
  }
}
