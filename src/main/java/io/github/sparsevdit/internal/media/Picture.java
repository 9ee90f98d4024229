package io.github.sparsevdit.internal.media;

import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/**
 * An image: RGB, 8 bits a channel.
 *
 * @param rgb height × width × 3, channels fastest
 */
public record Picture(int width, int height, byte[] rgb) {
  /**
   * Reads a PNG or JPEG, turned as a camera's EXIF orientation says. Transparency is dropped, as
   * diffusers drops it.
   *
   * @throws IllegalArgumentException if the file is neither, or damaged
   */
  public static Picture read(Path file) {
    byte[] bytes;
    BufferedImage image;
    try {
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + file + ": " + e, e);
    }
    try (var stream = new ByteArrayInputStream(bytes)) {
      image = ImageIO.read(stream);
    } catch (IOException | RuntimeException e) { // a damaged file may throw either
      throw new IllegalArgumentException(
          "%s is damaged: %s; save the picture again as PNG".formatted(file, e.getMessage()), e);
    }
    if (image == null) {
      throw new IllegalArgumentException(
          file + " is no picture that is read; expected a PNG or JPEG");
    }
    return of(image).turned(ExifOrientation.of(bytes));
  }

  private static Picture of(BufferedImage image) {
    if (image.getRaster().getNumBands() <= 2) {
      return grey(image);
    }
    int width = image.getWidth();
    int height = image.getHeight();
    int[] pixels = image.getRGB(0, 0, width, height, null, 0, width);
    byte[] rgb = new byte[Math.multiplyExact(3, pixels.length)];
    for (int i = 0; i < pixels.length; i++) {
      rgb[3 * i] = (byte) (pixels[i] >> 16);
      rgb[3 * i + 1] = (byte) (pixels[i] >> 8);
      rgb[3 * i + 2] = (byte) pixels[i];
    }
    return new Picture(width, height, rgb);
  }

  /**
   * A grey picture as it is stored. Java would convert it from linear to sRGB's grey, which no
   * other reader does. Indexed pictures have one band too, and colours.
   */
  private static Picture grey(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
    boolean indexed = image.getColorModel() instanceof IndexColorModel;
    int shift = Math.max(0, image.getSampleModel().getSampleSize(0) - 8);
    int at = 0;
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int sample = image.getRaster().getSample(x, y, 0) >> shift;
        int pixel = indexed ? image.getRGB(x, y) : sample << 16 | sample << 8 | sample;
        rgb[at++] = (byte) (pixel >> 16);
        rgb[at++] = (byte) (pixel >> 8);
        rgb[at++] = (byte) pixel;
      }
    }
    return new Picture(width, height, rgb);
  }

  /** Turned and mirrored as EXIF's orientation 1 to 8 says. */
  Picture turned(int orientation) {
    boolean transposed = orientation >= 5;
    boolean fromRight =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    boolean fromBelow =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    if (orientation == 1) {
      return this;
    }
    int newWidth = transposed ? height : width;
    int newHeight = transposed ? width : height;
    byte[] to = new byte[rgb.length];
    for (int y = 0; y < newHeight; y++) {
      for (int x = 0; x < newWidth; x++) {
        int column = transposed ? y : x;
        int row = transposed ? x : y;
        int fromX = fromRight ? width - 1 - column : column;
        int fromY = fromBelow ? height - 1 - row : row;
        System.arraycopy(rgb, 3 * (fromY * width + fromX), to, 3 * (y * newWidth + x), 3);
      }
    }
    return new Picture(newWidth, newHeight, to);
  }

  /** The middle of it; what lies outside the picture is black. */
  public Picture centreCrop(int cropWidth, int cropHeight) {
    byte[] to = new byte[3 * cropWidth * cropHeight];
    int left = Math.floorDiv(width - cropWidth, 2);
    int top = Math.floorDiv(height - cropHeight, 2);
    for (int y = 0; y < cropHeight; y++) {
      for (int x = 0; x < cropWidth; x++) {
        int fromX = left + x;
        int fromY = top + y;
        if (fromX >= 0 && fromX < width && fromY >= 0 && fromY < height) {
          System.arraycopy(rgb, 3 * (fromY * width + fromX), to, 3 * (y * cropWidth + x), 3);
        }
      }
    }
    return new Picture(cropWidth, cropHeight, to);
  }

  /** In channels × height × width, each sample as scale · value / 255 + shift of its channel. */
  public float[] planes(float[] scale, float[] shift) {
    int pixels = width * height;
    float[] planes = new float[3 * pixels];
    for (int channel = 0; channel < 3; channel++) {
      for (int i = 0; i < pixels; i++) {
        float value = (rgb[3 * i + channel] & 0xff) / 255f;
        planes[channel * pixels + i] = value * scale[channel] + shift[channel];
      }
    }
    return planes;
  }
}
