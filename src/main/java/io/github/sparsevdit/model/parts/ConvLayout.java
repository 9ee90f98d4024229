package io.github.sparsevdit.model.parts;

/**
 * How a convolution's kernel lies over a clip of frames, rows and columns. Immutable.
 *
 * @param kernel frames, rows and columns of the kernel
 * @param stride by which it moves along each
 * @param padFrames frames before the first one, those that are kept of an earlier clip among them
 * @param padTop rows above; also padBottom, padLeft, padRight
 * @param replicate whether the padding in space repeats the nearest pixel, and is not zeros
 * @param replicateFrames whether that in time repeats the first frame
 * @param repeat how often each row and column is seen: 1, or 2 for nearest upsampling
 * @param repeatFrames how often each frame is
 */
public record ConvLayout(
    Extent kernel,
    Extent stride,
    int padFrames,
    int padTop,
    int padBottom,
    int padLeft,
    int padRight,
    boolean replicate,
    boolean replicateFrames,
    int repeat,
    Frames repeatFrames) {
  /** Frames, rows and columns. */
  public record Extent(int frames, int height, int width) {
    public int volume() {
      return frames * height * width;
    }
  }

  /** How often frames are seen; in the order of the C ABI's SVDIT_FRAMES_*. */
  public enum Frames {
    ONCE,
    TWICE,
    TWICE_BUT_FIRST
  }

  /**
   * A kernel that moves by one, sees no later frame, and gives as many frames, rows and columns as
   * it is given: zeros around.
   */
  public static ConvLayout causal(int frames, int height, int width) {
    return new ConvLayout(
        new Extent(frames, height, width),
        new Extent(1, 1, 1),
        frames - 1,
        height / 2,
        height / 2,
        width / 2,
        width / 2,
        false,
        false,
        1,
        Frames.ONCE);
  }

  public ConvLayout strided(int frames, int height, int width) {
    return new ConvLayout(
        kernel,
        new Extent(frames, height, width),
        padFrames,
        padTop,
        padBottom,
        padLeft,
        padRight,
        replicate,
        replicateFrames,
        repeat,
        repeatFrames);
  }

  /** With other padding in space. */
  public ConvLayout padded(int top, int bottom, int left, int right) {
    return new ConvLayout(
        kernel,
        stride,
        padFrames,
        top,
        bottom,
        left,
        right,
        replicate,
        replicateFrames,
        repeat,
        repeatFrames);
  }

  /** With padding that repeats what it is next to. */
  public ConvLayout replicating(boolean space, boolean frames) {
    return new ConvLayout(
        kernel,
        stride,
        padFrames,
        padTop,
        padBottom,
        padLeft,
        padRight,
        space,
        frames,
        repeat,
        repeatFrames);
  }

  /** With other padding in time. */
  public ConvLayout after(int frames) {
    return new ConvLayout(
        kernel,
        stride,
        frames,
        padTop,
        padBottom,
        padLeft,
        padRight,
        replicate,
        replicateFrames,
        repeat,
        repeatFrames);
  }

  /** Over what is twice as high and wide. */
  public ConvLayout upsampling(Frames frames) {
    return repeated(2, frames);
  }

  /** Over repeated rows, columns and frames. */
  public ConvLayout repeated(int times, Frames frames) {
    return new ConvLayout(
        kernel,
        stride,
        padFrames,
        padTop,
        padBottom,
        padLeft,
        padRight,
        replicate,
        replicateFrames,
        times,
        frames);
  }

  /** What a clip becomes. */
  public Extent of(int frames, int height, int width) {
    int seen =
        switch (repeatFrames) {
          case ONCE -> frames;
          case TWICE -> 2 * frames;
          case TWICE_BUT_FIRST -> 2 * frames - 1;
        };
    return new Extent(
        places(padFrames + seen, kernel.frames(), stride.frames()),
        places(padTop + height * repeat + padBottom, kernel.height(), stride.height()),
        places(padLeft + width * repeat + padRight, kernel.width(), stride.width()));
  }

  private static int places(int size, int kernel, int stride) {
    return size < kernel ? 0 : (size - kernel) / stride + 1;
  }
}
