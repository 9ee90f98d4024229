package io.github.sparsevdit.model.text;

import io.github.sparsevdit.internal.io.Json;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Character references of HTML. The names are those of the HTML Standard (13.5), in {@code
 * entities.json}; some of them also count without their semicolon.
 */
final class HtmlEntities {
  private static final int NO_CHARACTER = 0xfffd;
  private static final int MOST_NUMBER = 0x10ffff;

  /** As the HTML Standard finds them: the semicolon may lack. */
  private static final Pattern LENIENT =
      Pattern.compile("&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\\t\\n\\f <&#;]{1,32};?)");

  /** Those with a semicolon, as ftfy finds them. */
  private static final Pattern STRICT = Pattern.compile("&#?[0-9A-Za-z]{1,24};");

  private static final Map<String, String> NAMES = names();

  private HtmlEntities() {}

  private static Map<String, String> names() {
    Map<String, String> names = new HashMap<>();
    Json.resource(HtmlEntities.class, "entities.json")
        .fields()
        .forEach((name, value) -> names.put(name, value.text()));
    return names;
  }

  /** What a browser makes of a text. */
  static String unescape(String text) {
    return replaced(text, LENIENT, match -> browsers(match.substring(1)));
  }

  /**
   * The same, but only of references with a semicolon, and of names in capitals too ({@code
   * &EACUTE;}) where HTML has none of their own.
   */
  static String unescapeStrictly(String text) {
    return replaced(text, STRICT, HtmlEntities::strict);
  }

  private static String replaced(String text, Pattern pattern, UnaryOperator<String> by) {
    return text.indexOf('&') < 0
        ? text
        : pattern
            .matcher(text)
            .replaceAll(match -> Matcher.quoteReplacement(by.apply(match.group())));
  }

  private static String browsers(String reference) {
    if (reference.charAt(0) == '#') {
      return number(reference);
    }
    String whole = NAMES.get(reference);
    if (whole != null) {
      return whole;
    }
    for (int length = reference.length() - 1; length > 1; length--) {
      String known = NAMES.get(reference.substring(0, length));
      if (known != null) {
        return known + reference.substring(length);
      }
    }
    return "&" + reference;
  }

  private static String strict(String match) {
    String name = match.substring(1);
    if (name.charAt(0) == '#') {
      String decoded = unescape(match);
      return decoded.indexOf(';') >= 0 ? match : decoded; // "&#x;" is no reference
    }
    String known = NAMES.get(name);
    if (known != null) {
      return known;
    }
    String lower = NAMES.get(name.toLowerCase(Locale.ROOT));
    boolean capitals = name.equals(name.toUpperCase(Locale.ROOT));
    boolean prefix = !unescape(match).equals(match);
    return lower == null || !capitals || prefix ? match : lower.toUpperCase(Locale.ROOT);
  }

  /** "#123;" or "#x7b": invalid numbers as the HTML Standard replaces them (13.2.5.80). */
  private static String number(String reference) {
    boolean hex = reference.length() > 1 && (reference.charAt(1) | 0x20) == 'x';
    String digits = reference.substring(hex ? 2 : 1).replace(";", "");
    int number = digits.length() > 12 ? MOST_NUMBER + 1 : clamped(digits, hex ? 16 : 10);
    if (number == 0 || number >= 0xd800 && number <= 0xdfff || number > MOST_NUMBER) {
      return Character.toString(NO_CHARACTER);
    }
    if (number >= 0x80 && number <= 0x9f) {
      return Character.toString(CharacterTables.WINDOWS_1252[number - 0x80]);
    }
    return number != '\r' && isRemoved(number) ? "" : Character.toString(number);
  }

  private static int clamped(String digits, int radix) {
    return (int) Math.min(Long.parseLong(digits, radix), MOST_NUMBER + 1L);
  }

  private static boolean isRemoved(int number) {
    boolean control =
        number < 0x20 && number != '\t' && number != '\n' && number != '\f' || number == 0x7f;
    boolean noCharacter = number >= 0xfdd0 && number <= 0xfdef || (number & 0xfffe) == 0xfffe;
    return control || noCharacter;
  }
}
