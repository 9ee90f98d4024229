package io.github.sparsevdit.pattern;

/**
 * The tokens of one self-attention call: frames × height × width video tokens, stored frame-major
 * (t, h, w; w fastest), and {@code text} text tokens before or after them. How many of those are
 * real is an argument of each call, not part of the sequence.
 */
public record Sequence(int frames, int height, int width, int text, boolean textFirst) {
  public Sequence {
    if (frames < 1 || height < 1 || width < 1) {
      throw new IllegalArgumentException(
          "frames, height and width must be at least 1: "
              + frames
              + " x "
              + height
              + " x "
              + width);
    }
    if (text < 0) {
      throw new IllegalArgumentException("text must be at least 0: " + text);
    }
    long area = (long) height * width; // < 2^62, so only the next product may overflow
    if (area > Integer.MAX_VALUE || area * frames + text > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "a sequence holds at most "
              + Integer.MAX_VALUE
              + " tokens: "
              + frames
              + " x "
              + height
              + " x "
              + width
              + " + "
              + text);
    }
    textFirst = textFirst && text > 0; // without text there is no side to put it on
  }

  /** A sequence of video tokens alone. */
  public static Sequence video(int frames, int height, int width) {
    return new Sequence(frames, height, width, 0, false);
  }

  /** The same video with {@code tokens} text tokens, before it ({@code first}) or after it. */
  public Sequence withText(int tokens, boolean first) {
    return new Sequence(frames, height, width, tokens, first);
  }

  public int videoTokens() {
    return frames * height * width;
  }

  public int tokens() {
    return videoTokens() + text;
  }

  /** Blocks the video segment is cut into; the last may be short. */
  public int videoBlocks(int block) {
    return ceilDiv(videoTokens(), block);
  }

  /** Blocks the text segment is cut into; the last may be short. */
  public int textBlocks(int block) {
    return ceilDiv(text, block);
  }

  private static int ceilDiv(int tokens, int block) {
    if (block < 1) {
      throw new IllegalArgumentException("block must be at least 1: " + block);
    }
    return Math.ceilDiv(tokens, block);
  }

  /** {@code "21x30x52"}, {@code "3x9x13 + 26 text first"}. */
  @Override
  public String toString() {
    String video = frames + "x" + height + "x" + width;
    return text == 0 ? video : video + " + " + text + " text " + (textFirst ? "first" : "last");
  }
}
