package io.github.sparsevdit.cli.map;

import java.awt.Color;
import java.awt.Font;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.RoundRectangle2D;
import java.awt.image.BufferedImage;

/** Draws on an image, at {@code scale} pixels for each unit so that text stays sharp. */
final class ImageCanvas implements Canvas {
  private final BufferedImage image;
  private final Graphics2D graphics;

  ImageCanvas(int width, int height, int scale) {
    image = new BufferedImage(width * scale, height * scale, BufferedImage.TYPE_INT_RGB);
    graphics = image.createGraphics();
    graphics.scale(scale, scale);
    graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
    graphics.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    graphics.setRenderingHint(RenderingHints.KEY_STROKE_CONTROL, RenderingHints.VALUE_STROKE_PURE);
    rectangle(0, 0, width, height, 0, Palette.PAPER);
  }

  BufferedImage finish() {
    graphics.dispose();
    return image;
  }

  @Override
  public void rectangle(double x, double y, double width, double height, double radius, int rgb) {
    graphics.setColor(new Color(rgb));
    graphics.fill(new RoundRectangle2D.Double(x, y, width, height, 2 * radius, 2 * radius));
  }

  @Override
  public void outline(double x, double y, double width, double height, double radius, int rgb) {
    graphics.setColor(new Color(rgb));
    graphics.draw(new RoundRectangle2D.Double(x, y, width, height, 2 * radius, 2 * radius));
  }

  @Override
  public void text(
      double x, double y, String text, Anchor anchor, double size, boolean bold, int rgb) {
    Font font = new Font(Font.SANS_SERIF, bold ? Font.BOLD : Font.PLAIN, 1);
    graphics.setFont(font.deriveFont((float) size));
    graphics.setColor(new Color(rgb));
    FontMetrics metrics = graphics.getFontMetrics();
    double width = metrics.stringWidth(text);
    double left =
        switch (anchor) {
          case START -> x;
          case MIDDLE -> x - width / 2;
          case END -> x - width;
        };
    double baseline = y + (metrics.getAscent() - metrics.getDescent()) / 2.0;
    graphics.drawString(text, (float) left, (float) baseline);
  }
}
