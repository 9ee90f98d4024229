package io.github.sparsevdit.cli.map;

import io.github.sparsevdit.pattern.Mode;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;

/**
 * The mode map as text: a letter and the density in percent for each head, coloured where that is
 * wanted.
 */
public final class ModeMapText {
  private static final String RESET = "\u001b[0m";

  private ModeMapText() {}

  /** Lines ending in line feeds; with {@code colour}, ANSI sequences for 24-bit colours. */
  public static String render(ModeMap map, boolean colour) {
    StringBuilder text = new StringBuilder();
    text.append(map.title()).append('\n').append(map.subtitle()).append('\n');
    for (ModeMap.Panel panel : map.panels()) {
      text.append('\n').append(panel.name()).append('\n').append("layer");
      for (int head = 0; head < map.heads(); head++) {
        text.append(String.format("%5s", "h" + head));
      }
      text.append('\n');
      for (int layer = 0; layer < map.layers(); layer++) {
        text.append(String.format("%5d", layer));
        for (ModeMap.Cell cell : panel.layers().get(layer)) {
          text.append(' ').append(cell(cell, colour));
        }
        text.append('\n');
      }
    }
    return text.append('\n').append(legend(map.counts(), colour)).toString();
  }

  private static String cell(ModeMap.Cell cell, boolean colour) {
    boolean plainMode = cell.mode() == Mode.FULL || cell.mode() == Mode.SKIP;
    String percent =
        plainMode || Double.isNaN(cell.density())
            ? "  "
            : String.format(Locale.ROOT, "%2d", Math.round(100 * cell.density()));
    String plain =
        Palette.letter(cell.mode()) + " ".repeat(Math.max(0, 3 - percent.length())) + percent;
    return colour ? painted(plain, Palette.shade(cell.mode(), cell.density())) : plain;
  }

  private static String legend(Map<Mode, Integer> counts, boolean colour) {
    StringJoiner joiner = new StringJoiner("   ", "", "\n(numbers are densities in percent)\n");
    counts.forEach(
        (mode, count) -> {
          String letter = " " + Palette.letter(mode) + " ";
          String key = colour ? painted(letter, Palette.colour(mode)) : letter.strip();
          joiner.add(key + " " + Palette.name(mode) + " " + count);
        });
    return joiner.toString();
  }

  private static String painted(String text, int background) {
    int ink = Palette.inkOn(background);
    return "\u001b[48;2;%d;%d;%dm\u001b[38;2;%d;%d;%dm%s%s"
        .formatted(
            background >> 16 & 255,
            background >> 8 & 255,
            background & 255,
            ink >> 16 & 255,
            ink >> 8 & 255,
            ink & 255,
            text,
            RESET);
  }
}
