package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A clip to be compared: {@code values} has frames × height × width × channels, channels fastest,
 * each in [0, 1].
 *
 * @param frames number of frames, at least 1
 * @param height rows of a frame, at least 1
 * @param width columns of a frame, at least 1
 * @param channels colour channels, at least 1
 * @param values the samples; not copied, not to be changed afterwards
 */
public record Video(int frames, int height, int width, int channels, float[] values) {
  public Video {
    Objects.requireNonNull(values, "values");
    if (frames < 1 || height < 1 || width < 1 || channels < 1) {
      throw new IllegalArgumentException(
          "a video of %d frames of %d x %d with %d channels; each must be at least 1"
              .formatted(frames, height, width, channels));
    }
    long expected = (long) frames * height * width * channels;
    if (values.length != expected) {
      throw new IllegalArgumentException(
          "%d values for a video of %d".formatted(values.length, expected));
    }
  }

  /**
   * The clip a denoiser that works in pixels gives: channels × frames × height × width in [−1, 1],
   * clamped and mapped to [0, 1].
   */
  public static Video ofPixelLatents(
      float[] latents, int channels, int frames, int height, int width) {
    float[] values = new float[latents.length];
    int plane = height * width;
    for (int c = 0; c < channels; c++) {
      for (int f = 0; f < frames; f++) {
        int from = (c * frames + f) * plane;
        for (int i = 0; i < plane; i++) {
          float scaled = latents[from + i] * 0.5f + 0.5f;
          values[(f * plane + i) * channels + c] = Math.min(1f, Math.max(0f, scaled));
        }
      }
    }
    return new Video(frames, height, width, channels, values);
  }

  /** The same out of a tensor in host memory, without a copy on the heap. */
  static Video ofDecoded(Tensor video) {
    int channels = Math.toIntExact(video.size(0));
    int frames = Math.toIntExact(video.size(1));
    int height = Math.toIntExact(video.size(2));
    int width = Math.toIntExact(video.size(3));
    float[] values = new float[Math.toIntExact(video.elements())];
    MemorySegment samples = video.segment();
    int plane = height * width;
    for (int c = 0; c < channels; c++) {
      for (int f = 0; f < frames; f++) {
        long from = ((long) c * frames + f) * plane;
        for (int i = 0; i < plane; i++) {
          float scaled = samples.getAtIndex(ValueLayout.JAVA_FLOAT, from + i) * 0.5f + 0.5f;
          values[(f * plane + i) * channels + c] = Math.min(1f, Math.max(0f, scaled));
        }
      }
    }
    return new Video(frames, height, width, channels, values);
  }

  /** The sample at a place. */
  public float at(int frame, int row, int column, int channel) {
    return values[((frame * height + row) * width + column) * channels + channel];
  }

  /**
   * The frames as opaque pixels, 0xRRGGBB, row by row; NaN is black.
   *
   * @throws IllegalArgumentException if there are not three channels
   */
  public List<int[]> rgb() {
    if (channels != 3) {
      throw new IllegalArgumentException("a video of " + channels + " channels; RGB has 3");
    }
    List<int[]> images = new ArrayList<>(frames);
    int pixels = height * width;
    for (int f = 0; f < frames; f++) {
      int[] image = new int[pixels];
      for (int p = 0; p < pixels; p++) {
        int from = (f * pixels + p) * 3;
        image[p] = level(from) << 16 | level(from + 1) << 8 | level(from + 2);
      }
      images.add(image);
    }
    return images;
  }

  private int level(int at) {
    return Math.round(values[at] * 255f);
  }

  /** Throws IllegalArgumentException unless the other has the same shape. */
  public void requireSameShape(Video other) {
    if (frames != other.frames
        || height != other.height
        || width != other.width
        || channels != other.channels) {
      throw new IllegalArgumentException(
          "videos of different shape: %s and %s".formatted(shape(), other.shape()));
    }
  }

  private String shape() {
    return "%d x %d x %d x %d".formatted(frames, height, width, channels);
  }
}
