package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Cuts latents into the patches that become tokens, and puts them together again. */
public final class Patches {
  /** How the numbers of one patch are lined up. */
  public enum Features {
    /** (channel, t, y, x). */
    CHANNEL_FIRST,
    /** (t, y, x, channel). */
    CHANNEL_LAST
  }

  private final int frames;
  private final int height;
  private final int width;

  /**
   * @param t frames per patch
   * @param y rows per patch
   * @param x columns per patch
   */
  public Patches(int t, int y, int x) {
    frames = t;
    height = y;
    width = x;
  }

  /** Frames per patch. */
  public int frames() {
    return frames;
  }

  /** Latent elements per channel of a patch. */
  public int volume() {
    return frames * height * width;
  }

  /** The video tokens of latents [channels, T, H, W]. */
  public Sequence sequence(long channels, long t, long y, long x) {
    if (t % frames != 0 || y % height != 0 || x % width != 0 || t < 1 || y < 1 || x < 1) {
      throw new IllegalArgumentException(
          "latents of "
              + Arrays.toString(new long[] {t, y, x})
              + " frames, rows and columns cannot be cut into patches of "
              + Arrays.toString(new int[] {frames, height, width}));
    }
    return Sequence.video(
        Math.toIntExact(t / frames), Math.toIntExact(y / height), Math.toIntExact(x / width));
  }

  /**
   * Writes the patches of latents into features channelFrom … of rows.
   *
   * @param latents FP32 [C, T, H, W], any strides
   * @param rows FP32 [tokens, channels · volume], contiguous
   * @param channels of all latents that share the rows
   */
  void gather(Tensor latents, Tensor rows, Features features, int channelFrom, int channels) {
    move(latents, rows, features, channelFrom, channels, true);
  }

  /** The inverse of gather. */
  public void scatter(Tensor rows, Features features, Tensor latents) {
    move(latents, rows, features, 0, Math.toIntExact(latents.size(0)), false);
  }

  private void move(
      Tensor latents, Tensor rows, Features features, int from, int channels, boolean toRows) {
    MemorySegment video = latents.segment();
    MemorySegment tokens = rows.segment();
    long featureOfChannel = features == Features.CHANNEL_FIRST ? volume() : 1;
    long featureOfPlace = features == Features.CHANNEL_FIRST ? 1 : channels;
    long columns = latents.size(3) / width;
    long lines = latents.size(2) / height;
    long rowLength = (long) channels * volume();
    for (int c = 0; c < latents.size(0); c++) {
      for (int t = 0; t < latents.size(1); t++) {
        for (int y = 0; y < latents.size(2); y++) {
          long in = c * latents.stride(0) + t * latents.stride(1) + y * latents.stride(2);
          long token = ((long) (t / frames) * lines + y / height) * columns;
          long place = ((long) (t % frames) * height + y % height) * width;
          long feature = (from + c) * featureOfChannel + place * featureOfPlace;
          for (int x = 0; x < latents.size(3); x++) {
            long at = in + x * latents.stride(3);
            long row = (token + x / width) * rowLength + feature + x % width * featureOfPlace;
            if (toRows) {
              tokens.setAtIndex(
                  ValueLayout.JAVA_FLOAT, row, video.getAtIndex(ValueLayout.JAVA_FLOAT, at));
            } else {
              video.setAtIndex(
                  ValueLayout.JAVA_FLOAT, at, tokens.getAtIndex(ValueLayout.JAVA_FLOAT, row));
            }
          }
        }
      }
    }
  }
}
