package io.github.sparsevdit.cli.map;

import java.util.Locale;

/** Writes SVG 1.1 with no reference to anything outside the file. */
final class SvgCanvas implements Canvas {
  private final StringBuilder svg = new StringBuilder();

  SvgCanvas(int width, int height) {
    append(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\""
            + " font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">%n",
        width, height, width, height);
    rectangle(0, 0, width, height, 0, Palette.PAPER);
  }

  String finish() {
    return svg + "</svg>\n";
  }

  @Override
  public void rectangle(double x, double y, double width, double height, double radius, int rgb) {
    append(
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%.1f\" fill=\"#%06x\"/>%n",
        x, y, width, height, radius, rgb);
  }

  @Override
  public void outline(double x, double y, double width, double height, double radius, int rgb) {
    append(
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%.1f\" fill=\"none\""
            + " stroke=\"#%06x\"/>%n",
        x, y, width, height, radius, rgb);
  }

  @Override
  public void text(
      double x, double y, String text, Anchor anchor, double size, boolean bold, int rgb) {
    append(
        "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\"%s text-anchor=\"%s\""
            + " fill=\"#%06x\">%s</text>%n",
        x,
        y + 0.35 * size,
        size,
        bold ? " font-weight=\"bold\"" : "",
        anchor.name().toLowerCase(Locale.ROOT),
        rgb,
        escaped(text));
  }

  private void append(String format, Object... values) {
    svg.append(String.format(Locale.ROOT, format.replace("%n", "\n"), values));
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }
}
