package io.github.sparsevdit.internal.media;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * How a camera was held: the tag 0x0112 of a JPEG's EXIF segment (CIPA DC-008, 4.6.4), which
 * ImageIO does not apply.
 */
final class ExifOrientation {
  private static final int UPRIGHT = 1;
  private static final int START = 0xffd8;
  private static final int EXIF = 0xffe1;
  private static final int SCAN = 0xffda;
  private static final int TAG = 0x0112;
  private static final byte[] SIGNATURE = "Exif\0\0".getBytes(StandardCharsets.US_ASCII);

  private ExifOrientation() {}

  /** 1 to 8; 1, upright, where the file does not say or is no JPEG. */
  static int of(byte[] file) {
    ByteBuffer bytes = ByteBuffer.wrap(file);
    if (file.length < 4 || bytes.getChar(0) != START) {
      return UPRIGHT;
    }
    int at = 2;
    while (at + 4 <= file.length) {
      int marker = bytes.getChar(at);
      int length = bytes.getChar(at + 2);
      if (marker == SCAN || marker < 0xff00 || length < 2 || at + 2 + length > file.length) {
        return UPRIGHT;
      }
      if (marker == EXIF && startsWith(file, at + 4)) {
        int begin = at + 4 + SIGNATURE.length;
        return ofTiff(bytes.slice(begin, at + 2 + length - begin));
      }
      at += 2 + length;
    }
    return UPRIGHT;
  }

  private static boolean startsWith(byte[] file, int at) {
    for (int i = 0; i < SIGNATURE.length; i++) {
      if (at + i >= file.length || file[at + i] != SIGNATURE[i]) {
        return false;
      }
    }
    return true;
  }

  private static int ofTiff(ByteBuffer tiff) {
    if (tiff.limit() < 8) {
      return UPRIGHT;
    }
    tiff.order(tiff.get(0) == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    int directory = tiff.getInt(4);
    if (directory < 8 || directory > tiff.limit() - 2) {
      return UPRIGHT;
    }
    int entries = tiff.getChar(directory);
    for (int i = 0; i < entries; i++) {
      int entry = directory + 2 + 12 * i;
      if (entry + 12 > tiff.limit()) {
        return UPRIGHT;
      }
      if (tiff.getChar(entry) == TAG) {
        int orientation = tiff.getChar(entry + 8);
        return orientation >= 1 && orientation <= 8 ? orientation : UPRIGHT;
      }
    }
    return UPRIGHT;
  }
}
