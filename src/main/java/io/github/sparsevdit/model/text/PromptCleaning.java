package io.github.sparsevdit.model.text;

import java.text.Normalizer;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What Wan's pipelines do to a prompt before it is tokenized (diffusers' prompt_clean): mend
 * misread text and typography as ftfy.fix_text does, resolve HTML's character references twice, and
 * make one space of any white space. Other families take prompts as they are.
 */
public final class PromptCleaning {
  /** White space of Unicode: what Python's regular expressions and strip() take for it. */
  private static final String SPACE =
      "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

  private static final Pattern SPACES = Pattern.compile(SPACE + "+");
  private static final Pattern OUTER = Pattern.compile("^" + SPACE + "+|" + SPACE + "+$");
  private static final Pattern SINGLE_QUOTES = Pattern.compile("[\\u02bc\\u2018-\\u201b]");
  private static final Pattern DOUBLE_QUOTES = Pattern.compile("[\\u201c-\\u201f]");
  private static final Pattern LINE_ENDS = Pattern.compile("\\r\\n|[\\r\\u2028\\u2029\\x85]");
  private static final Pattern TERMINAL = Pattern.compile("\\x1b\\[[\\d;]*[a-zA-Z]");
  private static final Pattern CONTROLS =
      Pattern.compile("[\\x00-\\x08\\x0b\\x0e-\\x1f\\x7f\\u206a-\\u206f\\ufeff\\ufff9-\\ufffc]");

  /** Full-width and half-width forms. */
  private static final Pattern WIDTHS = Pattern.compile("[\\uff01-\\uffef]+");

  private static final Pattern LIGATURES =
      Pattern.compile("[\\u0132\\u0133\\u0149\\u01c4-\\u01cc\\u01f1-\\u01f3\\ufb00-\\ufb06]");

  private static final Pattern LONE_SURROGATES =
      Pattern.compile(
          "[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]");

  private static final Map<String, String> OWN_LIGATURES =
      Map.of("\ufb05", "\u017ft", "\ufb06", "st");

  private PromptCleaning() {}

  /** The text as Wan's tokenizer gets it. */
  public static String clean(String text) {
    String mended = HtmlEntities.unescape(HtmlEntities.unescape(fix(text)));
    String stripped = OUTER.matcher(mended).replaceAll("");
    return OUTER.matcher(SPACES.matcher(stripped).replaceAll(" ")).replaceAll("");
  }

  /** Line by line; from the first that has a "<" on, references are not resolved here. */
  private static String fix(String text) {
    StringBuilder fixed = new StringBuilder();
    boolean references = true;
    int at = 0;
    while (at < text.length()) {
      int end = text.indexOf('\n', at) + 1;
      end = end == 0 ? text.length() : end;
      String line = text.substring(at, end);
      references &= line.indexOf('<') < 0;
      boolean resolved = references;
      fixed.append(untilStable(line, each -> fixOnce(each, resolved)));
      at = end;
    }
    return fixed.toString();
  }

  private static String untilStable(String text, UnaryOperator<String> step) {
    String before;
    String after = text;
    do {
      before = after;
      after = step.apply(before);
    } while (!after.equals(before));
    return after;
  }

  private static String fixOnce(String line, boolean references) {
    String text = references ? HtmlEntities.unescapeStrictly(line) : line;
    text = Mojibake.mend(text);
    text = LIGATURES.matcher(text).replaceAll(PromptCleaning::letters);
    text =
        WIDTHS
            .matcher(text)
            .replaceAll(
                match ->
                    Matcher.quoteReplacement(
                        Normalizer.normalize(match.group(), Normalizer.Form.NFKC)))
            .replace('\u3000', ' ');
    text = SINGLE_QUOTES.matcher(text).replaceAll("'");
    text = DOUBLE_QUOTES.matcher(text).replaceAll("\"");
    text = LINE_ENDS.matcher(text).replaceAll("\n");
    text = LONE_SURROGATES.matcher(text).replaceAll("\ufffd");
    text = TERMINAL.matcher(text).replaceAll("");
    text = CONTROLS.matcher(text).replaceAll("");
    return Normalizer.normalize(text, Normalizer.Form.NFC);
  }

  private static String letters(MatchResult match) {
    String own = OWN_LIGATURES.get(match.group());
    return own == null ? Normalizer.normalize(match.group(), Normalizer.Form.NFKC) : own;
  }
}
