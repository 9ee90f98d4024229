package io.github.sparsevdit.model;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;

/** Checks of what a forward pass is given. */
final class Inputs {
  private Inputs() {}

  /** The latents, and those of the conditioning if there are any, make up channels along dim. */
  static void requireLatents(Tensor latents, Conditioning conditioning, int dim, int channels) {
    requireFp32("latents", latents);
    long given = latents.size(dim);
    if (conditioning.latents() != null) {
      requireFp32("the conditioning's latents", conditioning.latents());
      long[] expected = latents.shape();
      expected[dim] = conditioning.latents().size(dim);
      if (!Arrays.equals(conditioning.latents().shape(), expected)) {
        throw new IllegalArgumentException(
            "the conditioning's latents are "
                + conditioning.latents()
                + "; expected "
                + Arrays.toString(expected));
      }
      given += expected[dim];
    }
    if (given != channels) {
      throw new IllegalArgumentException(
          "the latents have " + given + " channels in all; this model takes " + channels);
    }
  }

  /** Given frames, if any, are fewer than the latents', like those otherwise, and whole patches. */
  static void requireFirstFrames(Tensor latents, Tensor given, int framesPerPatch) {
    if (given == null) {
      return;
    }
    requireFp32("the conditioning's first frames", given);
    long frames = given.size(1);
    long[] expected = latents.shape();
    expected[1] = frames;
    if (!Arrays.equals(given.shape(), expected)
        || frames < 1
        || frames >= latents.size(1)
        || frames % framesPerPatch != 0) {
      throw new IllegalArgumentException(
          "the conditioning's first frames are "
              + given
              + "; expected the latents' shape "
              + latents
              + " with fewer frames, a multiple of "
              + framesPerPatch);
    }
  }

  static void requireNoFirstFrames(Conditioning conditioning) {
    if (conditioning.firstFrames() != null) {
      throw new IllegalArgumentException(
          "first frames "
              + conditioning.firstFrames()
              + " are given; of the models supported, Wan alone takes them");
    }
  }

  static void requireVideo(String name, Tensor video, long[] shape) {
    requireFp32(name, video);
    if (!Arrays.equals(video.shape(), shape)) {
      throw new IllegalArgumentException(
          name + " is " + video + "; expected " + Arrays.toString(shape));
    }
  }

  static void requireFeatures(String name, Tensor tensor, long features) {
    if (tensor.size(tensor.rank() - 1) != features) {
      throw new IllegalArgumentException(
          "the conditioning's "
              + name
              + " is "
              + tensor
              + "; this model takes "
              + features
              + " features");
    }
  }

  private static void requireFp32(String name, Tensor tensor) {
    if (tensor.type() != ElementType.FP32 || tensor.rank() != 4) {
      throw new IllegalArgumentException(name + " must be FP32 with 4 dimensions: " + tensor);
    }
  }
}
