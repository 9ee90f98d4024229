package io.github.sparsevdit.internal.media;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Images as a pipeline reads them. That resizing is Pillow's the pipelines' own cases show. */
class PictureTest {
  @TempDir Path folder;

  /** A picture of 2 x 3 whose pixels are a, b / c, d / e, f, turned as EXIF 2.3 says. */
  @ParameterizedTest
  @CsvSource({
    "1, ab/cd/ef",
    "2, ba/dc/fe",
    "3, fe/dc/ba",
    "4, ef/cd/ab",
    "5, ace/bdf",
    "6, eca/fdb",
    "7, fdb/eca",
    "8, bdf/ace",
  })
  void isTurnedAsTheCameraWasHeld(int orientation, String expected) {
    byte[] rgb = new byte[18];
    for (int i = 0; i < 6; i++) {
      rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = (byte) ('a' + i);
    }
    Picture turned = new Picture(2, 3, rgb).turned(orientation);
    StringBuilder text = new StringBuilder();
    for (int y = 0; y < turned.height(); y++) {
      text.append(y == 0 ? "" : "/");
      for (int x = 0; x < turned.width(); x++) {
        text.append((char) turned.rgb()[3 * (y * turned.width() + x)]);
      }
    }
    assertEquals(expected, text.toString());
  }

  @Test
  void readsTheOrientationOfAJpeg() throws IOException {
    BufferedImage image = new BufferedImage(40, 20, BufferedImage.TYPE_INT_RGB);
    ByteArrayOutputStream plain = new ByteArrayOutputStream();
    ImageIO.write(image, "jpg", plain);
    Path file = Files.write(folder.resolve("plain.jpg"), plain.toByteArray());
    assertEquals("40x20", size(Picture.read(file)));
    for (boolean little : new boolean[] {true, false}) {
      byte[] bytes = withOrientation(plain.toByteArray(), 6, little);
      Path turned = Files.write(folder.resolve("turned.jpg"), bytes);
      assertEquals("20x40", size(Picture.read(turned)), "little " + little);
    }
  }

  private static String size(Picture picture) {
    return picture.width() + "x" + picture.height();
  }

  /** Puts an EXIF segment of one entry behind the JPEG's first marker. */
  private static byte[] withOrientation(byte[] jpeg, int orientation, boolean little) {
    ByteBuffer segment = ByteBuffer.allocate(36);
    segment.putShort((short) 0xffe1).putShort((short) 34).put("Exif\0\0".getBytes());
    segment.order(little ? java.nio.ByteOrder.LITTLE_ENDIAN : java.nio.ByteOrder.BIG_ENDIAN);
    segment.put((little ? "II" : "MM").getBytes()).putShort((short) 42).putInt(8);
    segment.putShort((short) 1).putShort((short) 0x0112).putShort((short) 3).putInt(1);
    segment.putShort((short) orientation).putShort((short) 0).putInt(0);
    ByteBuffer all = ByteBuffer.allocate(jpeg.length + 36);
    return all.put(jpeg, 0, 2).put(segment.array()).put(jpeg, 2, jpeg.length - 2).array();
  }

  @Test
  void theMiddleIsCutOut() {
    byte[] rgb = new byte[3 * 4 * 2];
    for (int i = 0; i < rgb.length; i++) {
      rgb[i] = (byte) (i / 3);
    }
    Picture cut = new Picture(4, 2, rgb).centreCrop(2, 2);
    assertArrayEquals(new byte[] {1, 1, 1, 2, 2, 2, 5, 5, 5, 6, 6, 6}, cut.rgb());
  }

  /** A grey of 128 is 128, as every other reader has it, in 8 and 16 bits. */
  @ParameterizedTest
  @CsvSource({"10, 128", "11, 32896"}) // TYPE_BYTE_GRAY, TYPE_USHORT_GRAY
  void greyIsReadAsItIsStored(int type, int sample) throws IOException {
    BufferedImage image = new BufferedImage(20, 20, type);
    for (int i = 0; i < 400; i++) {
      image.getRaster().setSample(i % 20, i / 20, 0, sample);
    }
    Path file = folder.resolve("grey.png");
    ImageIO.write(image, "png", file.toFile());
    for (byte value : Picture.read(file).rgb()) {
      assertEquals(128, value & 0xff);
    }
  }

  @Test
  void coloursOfAPaletteAreRead() throws IOException {
    BufferedImage image = new BufferedImage(20, 20, BufferedImage.TYPE_BYTE_INDEXED);
    image.setRGB(3, 4, 0xffff0000);
    Path file = folder.resolve("palette.png");
    ImageIO.write(image, "png", file.toFile());
    byte[] rgb = Picture.read(file).rgb();
    int at = 3 * (4 * 20 + 3);
    assertArrayEquals(new byte[] {-1, 0, 0}, new byte[] {rgb[at], rgb[at + 1], rgb[at + 2]});
  }

  /** A filter's weights add up to 1, so that a picture of one colour stays one. */
  @Test
  void aPlainPictureStaysPlain() {
    byte[] rgb = new byte[3 * 37 * 23];
    java.util.Arrays.fill(rgb, (byte) 200);
    for (Resampling filter : Resampling.values()) {
      Picture resized = filter.resize(new Picture(37, 23, rgb), 64, 11);
      assertEquals("64x11", size(resized));
      for (byte value : resized.rgb()) {
        assertTrue(Math.abs((value & 0xff) - 200) <= 1, filter + ": " + (value & 0xff));
      }
    }
  }
}
