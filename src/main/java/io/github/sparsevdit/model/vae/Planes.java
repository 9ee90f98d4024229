package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Between videos as the outside has them, FP32 host tensors [channels, frames, height, width], and
 * rows [pixels, channels] of one frame or several. With a patch of p the rows' pixels are squares
 * of p · p pixels of the video, whose channel (c p + column) p + row is the video's channel c (Wan
 * 2.2: the column before the row).
 */
final class Planes {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private Planes() {}

  /** rows = frames first … of a view of a video; as many as rows holds. */
  static void gather(Tensor video, long first, int patch, Tensor rows) {
    each(video, first, patch, rows, false, false);
  }

  /** Frames first … of a view of a video = rows, cut to −1 … 1 if asked for. */
  static void scatter(Tensor rows, Tensor video, long first, int patch, boolean clamp) {
    each(video, first, patch, rows, true, clamp);
  }

  /** Cuts all values to −1 … 1. */
  static void clamp(Tensor video) {
    MemorySegment v = video.segment();
    for (long i = 0; i < video.elements(); i++) {
      v.setAtIndex(FLOAT, i, Math.clamp(v.getAtIndex(FLOAT, i), -1f, 1f));
    }
  }

  private static void each(
      Tensor video, long first, int patch, Tensor rows, boolean toVideo, boolean clamp) {
    long channels = video.size(0);
    long height = video.size(2) / patch;
    long width = video.size(3) / patch;
    long frames = rows.size(0) / (height * width);
    long columns = rows.size(1);
    MemorySegment v = video.segment();
    MemorySegment r = rows.segment();
    for (long f = 0; f < frames; f++) {
      for (long c = 0; c < channels; c++) {
        for (int pw = 0; pw < patch; pw++) {
          for (int ph = 0; ph < patch; ph++) {
            long column = (c * patch + pw) * patch + ph;
            for (long h = 0; h < height; h++) {
              long from =
                  c * video.stride(0)
                      + (first + f) * video.stride(1)
                      + (h * patch + ph) * video.stride(2)
                      + pw * video.stride(3);
              long to = (f * height + h) * width * columns + column;
              long step = patch * video.stride(3);
              for (long w = 0; w < width; w++, from += step, to += columns) {
                if (toVideo) {
                  float value = r.getAtIndex(FLOAT, to);
                  v.setAtIndex(FLOAT, from, clamp ? Math.clamp(value, -1f, 1f) : value);
                } else {
                  r.setAtIndex(FLOAT, to, v.getAtIndex(FLOAT, from));
                }
              }
            }
          }
        }
      }
    }
  }
}
