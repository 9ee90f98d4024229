package io.github.sparsevdit.estimate;

/** Which sizes of videos and of latents a model makes, and what is said of others. */
public final class VideoSizes {
  private VideoSizes() {}

  /**
   * What to say of frames that no latents decode to; null where some do.
   *
   * @param each frames per latent frame, but for the first, which is one
   */
  public static String refuseFrames(int frames, int each) {
    if ((frames - 1) % each == 0) {
      return null;
    }
    int below = (frames - 1) / each * each + 1;
    return "%d is no length of this model's videos, which have %d n + 1 frames; the nearest are %d and %d"
        .formatted(frames, each, below, below + each);
  }

  /**
   * What to say of a height and width, after their value, that are no multiples; null where they
   * are.
   *
   * @param rows that the height must be a multiple of, in pixels or in latents
   * @param columns that the width must be a multiple of
   */
  public static String refuseSize(int[] size, int rows, int columns) {
    if (size[0] % rows == 0 && size[1] % columns == 0) {
      return null;
    }
    String multiples =
        rows == columns
            ? "height and width must be multiples of " + rows
            : "the height must be a multiple of %d and the width of %d".formatted(rows, columns);
    return ": %s here; the nearest are height %s and width %s"
        .formatted(multiples, nearest(size[0], rows), nearest(size[1], columns));
  }

  /** The multiples below and above a value, or the value itself where it is one. */
  public static String nearest(int value, int of) {
    if (value % of == 0) {
      return Integer.toString(value);
    }
    int below = value / of * of;
    return below == 0 ? Integer.toString(of) : below + " or " + (below + of);
  }
}
