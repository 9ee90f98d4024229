package io.github.sparsevdit.model.text;

import java.nio.charset.Charset;
import java.util.HashMap;
import java.util.Map;

/** The upper halves of 8-bit character sets, in both directions. */
final class CharacterTables {
  private static final int HALF = 128;

  /** Windows-1252 as browsers read it: a byte that it leaves open is its Latin-1 character. */
  static final char[] WINDOWS_1252 = upperHalf("windows-1252", true);

  private final char[] upper;
  private final Map<Character, Byte> bytes = new HashMap<>();

  /**
   * @param sloppy whether bytes that the set leaves open are their Latin-1 characters
   */
  private CharacterTables(String name, boolean sloppy) {
    upper = upperHalf(name, sloppy);
    for (int i = 0; i < HALF; i++) {
      if (upper[i] != '\ufffd') {
        bytes.put(upper[i], (byte) (HALF + i));
      }
    }
  }

  /** The set of that name; null where this Java lacks it (those of the module jdk.charsets). */
  static CharacterTables of(String name, boolean sloppy) {
    return Charset.isSupported(name) ? new CharacterTables(name, sloppy) : null;
  }

  private static char[] upperHalf(String name, boolean sloppy) {
    byte[] bytes = new byte[HALF];
    for (int i = 0; i < HALF; i++) {
      bytes[i] = (byte) (HALF + i);
    }
    char[] upper = new String(bytes, Charset.forName(name)).toCharArray();
    for (int i = 0; sloppy && i < HALF; i++) {
      upper[i] = upper[i] == '\ufffd' ? (char) (HALF + i) : upper[i];
    }
    return upper;
  }

  /** The text in this set; null where it has a character that the set lacks. */
  byte[] encode(String text) {
    byte[] encoded = new byte[text.length()];
    for (int i = 0; i < encoded.length; i++) {
      char each = text.charAt(i);
      Byte upperByte = each < HALF ? (Byte) (byte) each : bytes.get(each);
      if (upperByte == null) {
        return null;
      }
      encoded[i] = upperByte;
    }
    return encoded;
  }
}
