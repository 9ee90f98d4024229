package io.github.sparsevdit.internal.media;

import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Frames of one size, in order, as opaque RGB pixels.
 *
 * @param width in pixels
 * @param height in pixels
 * @param framesPerSecond how fast they play
 * @param frames one array of width × height pixels (0xRRGGBB, row by row) per frame
 */
public record Clip(int width, int height, int framesPerSecond, List<int[]> frames) {
  /** Checks the sizes and takes the frames as they are, without a copy. */
  public Clip {
    if (width < 1 || height < 1 || framesPerSecond < 1 || frames.isEmpty()) {
      throw new IllegalArgumentException(
          "a clip needs pixels, a rate and frames, but was given "
              + (width + " x " + height + ", " + framesPerSecond + " fps, ")
              + (frames.size() + " frames"));
    }
    for (int[] frame : frames) {
      if (frame.length != width * height) {
        throw new IllegalArgumentException(
            "a frame has " + frame.length + " pixels, expected " + width + " x " + height);
      }
    }
    frames = List.copyOf(frames);
  }

  /** This clip with every pixel drawn as a square of {@code factor} × {@code factor}. */
  public Clip enlarged(int factor) {
    if (factor == 1) {
      return this;
    }
    List<int[]> larger = new ArrayList<>(frames.size());
    for (int[] frame : frames) {
      int[] image = new int[frame.length * factor * factor];
      for (int y = 0; y < height * factor; y++) {
        for (int x = 0; x < width * factor; x++) {
          image[y * width * factor + x] = frame[y / factor * width + x / factor];
        }
      }
      larger.add(image);
    }
    return new Clip(width * factor, height * factor, framesPerSecond, larger);
  }

  /** Clips of the same size and length, left to right with a gap of {@code gap} white pixels. */
  public static Clip beside(List<Clip> clips, int gap) {
    Clip first = clips.getFirst();
    int total = clips.size() * (first.width + gap) - gap;
    List<int[]> joined = new ArrayList<>(first.frames.size());
    for (int f = 0; f < first.frames.size(); f++) {
      int[] image = new int[total * first.height];
      Arrays.fill(image, 0xffffff);
      for (int i = 0; i < clips.size(); i++) {
        int[] frame = clips.get(i).frames.get(f);
        for (int y = 0; y < first.height; y++) {
          int to = y * total + i * (first.width + gap);
          System.arraycopy(frame, y * first.width, image, to, first.width);
        }
      }
      joined.add(image);
    }
    return new Clip(total, first.height, first.framesPerSecond, joined);
  }

  /** Frame {@code index} as an image. */
  public BufferedImage image(int index) {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, width, height, frames.get(index), 0, width);
    return image;
  }
}
