package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.pattern.Sequence;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Reads a sequence as people write it: {@code 21x30x52}, {@code 33x45x80+256}, {@code
 * 226+11x48x85}.
 */
public final class SequenceConverter implements ITypeConverter<Sequence> {
  private static final Pattern FORM =
      Pattern.compile("(?:(\\d{1,9})\\+)?(\\d{1,9})x(\\d{1,9})x(\\d{1,9})(?:\\+(\\d{1,9}))?");

  @Override
  public Sequence convert(String text) {
    Matcher parts = FORM.matcher(text);
    if (!parts.matches() || parts.group(1) != null && parts.group(5) != null) {
      throw new TypeConversionException(
          "'"
              + text
              + "' is no sequence; write frames x height x width in tokens, as in 21x30x52, with"
              + " text after it (33x45x80+256) or before it (226+11x48x85)");
    }
    Sequence video = Sequence.video(number(parts, 2), number(parts, 3), number(parts, 4));
    if (parts.group(1) != null) {
      return video.withText(number(parts, 1), true);
    }
    return parts.group(5) == null ? video : video.withText(number(parts, 5), false);
  }

  private static int number(Matcher parts, int group) {
    return Integer.parseInt(parts.group(group));
  }
}
