package io.github.sparsevdit.model.text;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Mends text that was UTF-8 and read as an 8-bit character set ("cafÃ©"), in whole or in part, and
 * Windows-1252 that was read as Latin-1 (the control characters U+0080 to U+009F).
 *
 * <p>A text is changed only where its bytes are valid UTF-8 and give characters that are usual:
 * letters of a living alphabet, punctuation, symbols. That spares a French "É" before a no-break
 * space, whose bytes are UTF-8 too, of a phonetic letter.
 */
final class Mojibake {
  private static final int LEAD_LEAST = 0xc2; // of a sequence of UTF-8
  private static final String QUOTES = "\u2018\u2019\u201c\u201d\u00ab\u00bb\u2039\u203a";
  private static final String LEADS_OF_QUOTES = "\u00c2\u00c3"; // of Latin-1's characters
  private static final byte NO_BREAK_SPACE = (byte) 0xa0;

  /** A character set, and how many sequences of UTF-8 it takes to believe that it was misread. */
  private record Reading(CharacterTables table, int evidence) {}

  /** Likeliest first. What the later ones give is also what people write in those alphabets. */
  private static final List<Reading> READINGS = readings();

  private static final CharacterTables WINDOWS_1252 = CharacterTables.of("windows-1252", true);

  /** Where a sequence of UTF-8 may begin, read as Windows-1252 or Latin-1, and all it may have. */
  private static final Pattern SUSPECT = suspects();

  private Mojibake() {}

  private static List<Reading> readings() {
    List<Reading> readings = new ArrayList<>();
    add(readings, "ISO-8859-1", false, 1);
    add(readings, "windows-1252", true, 1);
    add(readings, "windows-1251", true, 2);
    add(readings, "windows-1250", true, 1);
    add(readings, "windows-1253", true, 2);
    add(readings, "windows-1254", true, 1);
    add(readings, "windows-1257", true, 1);
    add(readings, "ISO-8859-2", false, 1);
    add(readings, "x-MacRoman", false, 1);
    add(readings, "IBM437", false, 1);
    return List.copyOf(readings);
  }

  private static void add(List<Reading> readings, String name, boolean sloppy, int evidence) {
    CharacterTables table = CharacterTables.of(name, sloppy);
    if (table != null) {
      readings.add(new Reading(table, evidence));
    }
  }

  private static Pattern suspects() {
    StringBuilder leads = new StringBuilder();
    StringBuilder follow = new StringBuilder(" ");
    for (int i = 0; i < 128; i++) {
      char as1252 = CharacterTables.WINDOWS_1252[i];
      boolean lead = i + 128 >= LEAD_LEAST && i + 128 <= 0xf4;
      (lead ? leads : i < 64 ? follow : new StringBuilder()).append(as1252);
      if (i < 64) {
        follow.append((char) (i + 128));
      }
    }
    return Pattern.compile("[" + leads + "][" + follow + "]{1,3}");
  }

  /** The text mended, again and again while that changes it. */
  static String mend(String text) {
    String before;
    String after = text;
    do {
      before = after;
      after = mendOnce(before);
    } while (!after.equals(before));
    return after;
  }

  private static String mendOnce(String text) {
    if (text.chars().allMatch(each -> each < 128)) {
      return text;
    }
    for (Reading reading : READINGS) {
      byte[] bytes = reading.table.encode(text);
      String decoded = bytes == null ? null : decode(bytes, reading.evidence);
      if (decoded != null) {
        return decoded;
      }
    }
    String parts = mendParts(text);
    return parts.equals(text) ? controlsAsWindows1252(text) : parts;
  }

  /** Sequences that look misread, in a text that is right otherwise. */
  private static String mendParts(String text) {
    Matcher matcher = SUSPECT.matcher(text);
    StringBuilder mended = new StringBuilder();
    int done = 0;
    while (matcher.find(done)) {
      int begin = matcher.start();
      int end = begin + 1;
      String decoded = null;
      for (int length = matcher.group().length(); length > 1 && decoded == null; length--) {
        end = begin + length;
        decoded = decodePart(text.substring(begin, end));
      }
      end = decoded == null ? begin + 1 : end;
      mended
          .append(text, done, begin)
          .append(decoded == null ? text.substring(begin, end) : decoded);
      done = end;
    }
    return mended.append(text.substring(done)).toString();
  }

  /** Null also for a letter before a closing quote, such as „Ä“, whose bytes are UTF-8 too. */
  private static String decodePart(String part) {
    boolean quoted =
        QUOTES.indexOf(part.charAt(1)) >= 0 && LEADS_OF_QUOTES.indexOf(part.charAt(0)) < 0;
    byte[] bytes = quoted ? null : bytes(part);
    return bytes == null ? null : decode(bytes, 1);
  }

  /** As Windows-1252, in which control characters stand for themselves. */
  private static byte[] bytes(String part) {
    byte[] bytes = new byte[part.length()];
    for (int i = 0; i < bytes.length; i++) {
      char each = part.charAt(i);
      if (each >= 0x80 && each <= 0xff) {
        bytes[i] = (byte) each;
      } else {
        byte[] one = WINDOWS_1252.encode(part.substring(i, i + 1));
        if (one == null) {
          return null;
        }
        bytes[i] = one[0];
      }
    }
    return bytes;
  }

  /**
   * Bytes as UTF-8, where that is what they are, with usual characters, at least {@code evidence}
   * of them beyond ASCII; else null. Where there are several, a space may stand for the no-break
   * space that it was made of: one alone is more likely a letter at the end of a word.
   */
  private static String decode(byte[] bytes, int evidence) {
    String decoded = strictly(bytes);
    if (decoded != null) {
      return usual(decoded, evidence) ? decoded : null;
    }
    byte[] restored = withNoBreakSpaces(bytes);
    decoded = restored == null ? null : strictly(restored);
    return decoded != null && usual(decoded, Math.max(2, evidence)) ? decoded : null;
  }

  private static boolean usual(String decoded, int evidence) {
    int beyond = 0;
    for (int at = 0; at < decoded.length(); at += Character.charCount(decoded.codePointAt(at))) {
      int character = decoded.codePointAt(at);
      if (character >= 128) {
        beyond++;
        if (!usual(character)) {
          return false;
        }
      }
    }
    return beyond >= evidence;
  }

  private static String strictly(byte[] bytes) {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPORT)
          .decode(ByteBuffer.wrap(bytes))
          .toString();
    } catch (CharacterCodingException e) {
      return null;
    }
  }

  /**
   * With U+00A0 for each space that a sequence of UTF-8 lacks it for; null where there is none. "à"
   * before a word keeps its space: "Ã la" was "à la".
   */
  private static byte[] withNoBreakSpaces(byte[] bytes) {
    ByteArrayOutputStream restored = new ByteArrayOutputStream();
    boolean any = false;
    for (int i = 0; i < bytes.length; i++) {
      int lead = i == 0 ? 0 : bytes[i - 1] & 0xff;
      boolean ofTwo = lead == 0xc2 || lead == 0xc3;
      boolean ofThree = i > 1 && (bytes[i - 2] & 0xf0) == 0xe0 && (lead & 0xc0) == 0x80;
      boolean wanted = bytes[i] == ' ' && (ofTwo || ofThree);
      restored.write(wanted ? NO_BREAK_SPACE : bytes[i]);
      any |= wanted;
      if (wanted && lead == 0xc3 && i + 1 < bytes.length && bytes[i + 1] != ' ') {
        restored.write(' ');
      }
    }
    return any ? restored.toByteArray() : null;
  }

  /** Whether people write the character; accidents of misread text fall into the other blocks. */
  private static boolean usual(int character) {
    boolean phonetic = character >= 0x180 && character <= 0x36f; // and marks
    boolean oldCyrillic = character >= 0x460 && character <= 0x52f;
    boolean control = character < 0xa0;
    int type = Character.getType(character);
    boolean none = type == Character.UNASSIGNED || type == Character.PRIVATE_USE;
    return !phonetic && !oldCyrillic && !none && (!control || character == 0x85);
  }

  /** Nobody writes these control characters; Windows-1252 has characters in their places. */
  private static String controlsAsWindows1252(String text) {
    StringBuilder mended = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char each = text.charAt(i);
      mended.append(
          each >= 0x80 && each <= 0x9f ? CharacterTables.WINDOWS_1252[each - 0x80] : each);
    }
    return mended.toString();
  }
}
