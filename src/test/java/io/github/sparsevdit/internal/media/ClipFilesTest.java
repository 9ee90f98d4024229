package io.github.sparsevdit.internal.media;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pipeline.Video;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.metadata.IIOMetadataNode;
import org.jcodec.api.FrameGrab;
import org.jcodec.common.io.NIOUtils;
import org.jcodec.common.model.ColorSpace;
import org.jcodec.common.model.Picture;
import org.jcodec.scale.ColorUtil;
import org.jcodec.scale.Transform;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClipFilesTest {
  @TempDir Path folder;

  /** A smooth picture that moves: colours differ from frame to frame and from place to place. */
  private static Clip clip(int width, int height, int frames) {
    List<int[]> images = new ArrayList<>();
    for (int f = 0; f < frames; f++) {
      int[] image = new int[width * height];
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
          int red = 255 * x / width;
          int green = 255 * y / height;
          int blue = 40 * f;
          image[y * width + x] = red << 16 | green << 8 | blue;
        }
      }
      images.add(image);
    }
    return new Clip(width, height, 8, images);
  }

  @Test
  void tensorsBecomePixels() {
    // Channels first: red −1 and 1, green 0 and 2 (cut off), blue 0.5 and NaN.
    float[] latents = {-1, 1, 0, 2, 0.5f, Float.NaN};
    Video video = Video.ofPixelLatents(latents, 3, 1, 1, 2);
    assertArrayEquals(new int[] {0x0080bf, 0xffff00}, video.rgb().getFirst());
    Video grey = Video.ofPixelLatents(new float[] {0, 0}, 1, 1, 1, 2);
    assertThrows(IllegalArgumentException.class, grey::rgb);
  }

  @Test
  void enlargedAndBesideKeepEveryPixel() {
    Clip small = new Clip(2, 1, 8, List.of(new int[] {0x112233, 0x445566}));
    Clip large = small.enlarged(2);
    assertArrayEquals(
        new int[] {0x112233, 0x112233, 0x445566, 0x445566, 0x112233, 0x112233, 0x445566, 0x445566},
        large.frames().getFirst());
    Clip pair = Clip.beside(List.of(small, small), 1);
    assertArrayEquals(
        new int[] {0x112233, 0x445566, 0xffffff, 0x112233, 0x445566}, pair.frames().getFirst());
  }

  @Test
  void gifLoopsWithTheRightDelayAndColours() throws IOException {
    Clip clip = clip(64, 48, 5);
    Path file = folder.resolve("deep/clip.gif");
    Gif.write(file, clip);
    ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
    try (var stream = ImageIO.createImageInputStream(file.toFile())) {
      reader.setInput(stream);
      assertEquals(5, reader.getNumImages(true));
      for (int f = 0; f < 5; f++) {
        assertTrue(psnr(clip.frames().get(f), pixels(reader.read(f))) > 28);
        var root =
            (IIOMetadataNode) reader.getImageMetadata(f).getAsTree("javax_imageio_gif_image_1.0");
        var control =
            (IIOMetadataNode) root.getElementsByTagName("GraphicControlExtension").item(0);
        assertEquals("12", control.getAttribute("delayTime"));
        if (f == 0) {
          var loop = (IIOMetadataNode) root.getElementsByTagName("ApplicationExtension").item(0);
          assertEquals("NETSCAPE", loop.getAttribute("applicationID"));
          assertArrayEquals(new byte[] {1, 0, 0}, (byte[]) loop.getUserObject());
        }
      }
    }
  }

  @Test
  void mp4DecodesToTheSameFrames() throws Exception {
    Clip clip = clip(128, 96, 6);
    Path file = folder.resolve("clip.mp4");
    Mp4.write(file, clip);
    try (var channel = NIOUtils.readableFileChannel(file.toString())) {
      FrameGrab grab = FrameGrab.createFrameGrab(channel);
      assertEquals(6, grab.getVideoTrack().getMeta().getTotalFrames());
      assertEquals(6 / 8.0, grab.getVideoTrack().getMeta().getTotalDuration(), 1e-3);
      for (int[] expected : clip.frames()) {
        Picture picture = grab.getNativeFrame();
        assertEquals(128, picture.getCroppedWidth());
        assertEquals(96, picture.getCroppedHeight());
        double psnr = psnr(expected, pixels(picture));
        assertTrue(psnr > 25, () -> "PSNR " + psnr);
      }
    }
  }

  @Test
  void mp4RefusesOddSides() {
    Clip odd = new Clip(3, 2, 8, List.of(new int[6]));
    Path file = folder.resolve("odd.mp4");
    var refused = assertThrows(IllegalArgumentException.class, () -> Mp4.write(file, odd));
    assertTrue(refused.getMessage().contains("3 x 2"));
  }

  private static int[] pixels(java.awt.image.BufferedImage image) {
    int w = image.getWidth();
    return image.getRGB(0, 0, w, image.getHeight(), null, 0, w);
  }

  private static int[] pixels(Picture yuv) {
    Transform transform = ColorUtil.getTransform(yuv.getColor(), ColorSpace.RGB);
    Picture rgb =
        Picture.createCropped(yuv.getWidth(), yuv.getHeight(), ColorSpace.RGB, yuv.getCrop());
    transform.transform(yuv, rgb);
    Picture cropped = rgb.cropped();
    byte[] data = cropped.getPlaneData(0);
    int[] pixels = new int[cropped.getWidth() * cropped.getHeight()];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = data[3 * i] + 128 << 16 | data[3 * i + 1] + 128 << 8 | data[3 * i + 2] + 128;
    }
    return pixels;
  }

  private static double psnr(int[] a, int[] b) {
    assertEquals(a.length, b.length);
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      for (int shift = 0; shift < 24; shift += 8) {
        double d = (a[i] >> shift & 255) - (b[i] >> shift & 255);
        sum += d * d;
      }
    }
    return 10 * Math.log10(255.0 * 255 * 3 * a.length / sum);
  }
}
