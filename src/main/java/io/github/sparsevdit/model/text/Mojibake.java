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

  /** Letters that hardly end a word or stand alone: what follows one of them was misread. */
  private static final String LONE_LEADS = "\u00c2\u00c3\u00ce\u00d0";

  /** But for what follows even these: an ellipsis, an apostrophe, capitals, a currency. */
  private static final String AFTER_LONE_LEADS = "\u2026\u0152\u017d\u2019\u00a5";

  /** What people write after a letter: quotes, dashes, signs, other letters. */
  private static final String AFTER_LETTERS =
      "\u20ac\u201a\u201e\u2026\u0160\u2039\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014"
          + "\u2122\u0161\u203a\u0153\u017e\u0178\u00a0\u00a1\u00a2\u00a3\u00a5\u00a9\u00ab\u00ad\u00ae"
          + "\u00b4\u00b7\u00bb\u00bf";

  /** The same before another letter, where neither quotes nor currencies are. */
  private static final String AFTER_LETTERS_BEFORE_OTHERS =
      "\u2026\u0160\u0152\u017d\u2019\u2013\u2014\u0161\u0153\u017e\u0178\u00a0\u00ad\u00b4\u00b7";

  /** Letters of living alphabets between the phonetic ones: of Vietnamese, Romanian, digraphs. */
  private static final String LETTERS_BETWEEN =
      "\u01a0\u01a1\u01af\u01b0\u01c4\u01c5\u01c6\u01c7\u01c8\u01c9\u01ca\u01cb\u01cc"
          + "\u01f1\u01f2\u01f3\u0218\u0219\u021a\u021b";

  private static final byte NO_BREAK_SPACE = (byte) 0xa0;

  /**
   * What it takes to believe that a text was misread.
   *
   * @param characters how many
   * @param least that they are at least: a Cyrillic text is hardly a misread Latin one
   */
  private record Evidence(int characters, int least) {
    static final Evidence ONE = new Evidence(1, 0x80);
    static final Evidence TWO = new Evidence(2, 0x80);
    static final Evidence TWO_NOT_LATIN = new Evidence(2, 0x370);
  }

  /** A character set that a text may have been misread in. */
  private record Reading(CharacterTables table, Evidence evidence) {}

  /** Likeliest first. What the later ones give is also what people write in those alphabets. */
  private static final List<Reading> READINGS = readings();

  private static final CharacterTables WINDOWS_1252 = CharacterTables.of("windows-1252", true);

  /** Where a sequence of UTF-8 may begin, read as Windows-1252 or Latin-1, and all it may have. */
  private static final Pattern SUSPECT = suspects();

  /** A text of ASCII but for two characters, and the letter that follows them, if it is one. */
  private static final Pattern TWO_BEYOND_ASCII =
      Pattern.compile("\\p{ASCII}*([^\\p{ASCII}]{2})([a-zA-Z])?\\p{ASCII}*", Pattern.DOTALL);

  private Mojibake() {}

  private static List<Reading> readings() {
    List<Reading> readings = new ArrayList<>();
    add(readings, "ISO-8859-1", false, Evidence.ONE);
    add(readings, "windows-1252", true, Evidence.ONE);
    add(readings, "windows-1251", true, Evidence.TWO_NOT_LATIN);
    add(readings, "windows-1250", true, Evidence.ONE);
    add(readings, "windows-1253", true, Evidence.TWO_NOT_LATIN);
    add(readings, "windows-1254", true, Evidence.ONE);
    add(readings, "windows-1257", true, Evidence.ONE);
    add(readings, "ISO-8859-2", false, Evidence.ONE);
    add(readings, "x-MacRoman", false, Evidence.ONE);
    add(readings, "IBM437", false, Evidence.ONE);
    return List.copyOf(readings);
  }

  private static void add(List<Reading> readings, String name, boolean sloppy, Evidence evidence) {
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
      if (decoded != null && !isOnePlausible(text)) {
        return decoded;
      }
    }
    String parts = mendParts(text);
    return parts.equals(text) ? controlsAsWindows1252(text) : parts;
  }

  /** A sequence of UTF-8 that was misread. */
  private record Sequence(int end, String decoded) {}

  /**
   * Sequences that look misread, in a text that is right otherwise: several in a row, or one that
   * is nothing people write.
   */
  private static String mendParts(String text) {
    Matcher suspect = SUSPECT.matcher(text);
    StringBuilder mended = new StringBuilder();
    int at = 0;
    while (at < text.length()) {
      StringBuilder decoded = new StringBuilder();
      int end = at;
      int count = 0;
      for (Sequence next = sequence(suspect, text, at);
          next != null;
          next = sequence(suspect, text, end)) {
        decoded.append(next.decoded);
        end = next.end;
        count++;
      }
      if (count > 1
          || count == 1 && !plausible(text.substring(at, end).stripTrailing(), AFTER_LETTERS)) {
        mended.append(decoded);
        at = end;
      } else {
        mended.append(text.charAt(at++));
      }
    }
    return mended.toString();
  }

  /** The longest sequence that begins there; null where none does. */
  private static Sequence sequence(Matcher suspect, String text, int at) {
    if (!suspect.region(at, text.length()).lookingAt()) {
      return null;
    }
    for (int end = suspect.end(); end > at + 1; end--) {
      byte[] bytes = bytes(text.substring(at, end));
      String decoded = bytes == null ? null : decode(bytes, Evidence.ONE);
      if (decoded != null) {
        return new Sequence(end, decoded);
      }
    }
    return null;
  }

  /**
   * Whether people write these characters one after the other, such as Ä before a closing quote.
   */
  private static boolean plausible(String part, String afterLetters) {
    String after = LONE_LEADS.indexOf(part.charAt(0)) >= 0 ? AFTER_LONE_LEADS : afterLetters;
    return part.length() == 2 && after.indexOf(part.charAt(1)) >= 0;
  }

  /** Whether all that a text has beside ASCII are two characters that people write. */
  private static boolean isOnePlausible(String text) {
    Matcher one = TWO_BEYOND_ASCII.matcher(text);
    return one.matches()
        && plausible(
            one.group(1), one.group(2) == null ? AFTER_LETTERS : AFTER_LETTERS_BEFORE_OTHERS);
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
  private static String decode(byte[] bytes, Evidence evidence) {
    String decoded = strictly(bytes);
    if (decoded != null) {
      return usual(decoded, evidence) || misreadTwice(decoded) ? decoded : null;
    }
    byte[] restored = withNoBreakSpaces(bytes);
    decoded = restored == null ? null : strictly(restored);
    return decoded != null && usual(decoded, evidence.least > 0x80 ? evidence : Evidence.TWO)
        ? decoded
        : null;
  }

  /** Text that was misread twice has control characters after it is mended once. */
  private static boolean misreadTwice(String decoded) {
    return decoded.chars().anyMatch(each -> each >= 0x80 && each < 0xa0)
        && usual(mend(decoded), Evidence.ONE);
  }

  private static boolean usual(String decoded, Evidence evidence) {
    boolean allUsual = decoded.codePoints().allMatch(each -> each < 0x80 || usual(each));
    long counted = decoded.codePoints().filter(each -> each >= evidence.least).count();
    return allUsual && counted >= evidence.characters;
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
    boolean between = LETTERS_BETWEEN.indexOf(character) >= 0;
    return (!phonetic || between) && !oldCyrillic && !none && (!control || character == 0x85);
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
