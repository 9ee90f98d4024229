package io.github.sparsevdit.cli.media;

import io.github.sparsevdit.internal.media.Clip;
import io.github.sparsevdit.internal.media.Pictures;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.List;

/**
 * Clips laid out as one picture: a row per clip, its frames from left to right, what it is on the
 * left.
 */
public final class ContactSheet {
  private static final int LABEL = 150;
  private static final int GAP = 4;
  private static final int MARGIN = 12;

  private ContactSheet() {}

  /**
   * One row.
   *
   * @param label what the clip is: a line, or two with a line feed between
   * @param clip its frames; all rows have frames of one size
   * @param startsGroup whether some room sets it apart from the row above
   */
  public record Row(String label, Clip clip, boolean startsGroup) {}

  /**
   * The sheet with every {@code every}-th frame; labels are left out where no font is installed.
   */
  public static BufferedImage draw(List<Row> rows, int every) {
    Clip first = rows.getFirst().clip();
    int columns = Math.ceilDiv(first.frames().size(), every);
    int groups = (int) rows.stream().skip(1).filter(Row::startsGroup).count();
    int width = 2 * MARGIN + LABEL + columns * (first.width() + GAP) - GAP;
    int height = 2 * MARGIN + rows.size() * (first.height() + GAP) - GAP + groups * MARGIN;
    BufferedImage sheet = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = sheet.createGraphics();
    graphics.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, width, height);
    int y = MARGIN;
    for (Row row : rows) {
      if (row.startsGroup() && y > MARGIN) {
        y += MARGIN;
      }
      if (Pictures.canDrawText()) {
        label(graphics, row.label(), y + first.height() / 2);
      }
      for (int column = 0; column < columns; column++) {
        int x = MARGIN + LABEL + column * (first.width() + GAP);
        graphics.drawImage(row.clip().image(column * every), x, y, null);
      }
      y += first.height() + GAP;
    }
    graphics.dispose();
    return sheet;
  }

  private static void label(Graphics2D graphics, String label, int middle) {
    String[] lines = label.split("\n");
    for (int i = 0; i < lines.length; i++) {
      graphics.setColor(i == 0 ? new Color(0x222222) : new Color(0x6b6b6b));
      graphics.setFont(new Font(Font.SANS_SERIF, i == 0 ? Font.BOLD : Font.PLAIN, 14));
      int baseline = middle + 5 + Math.round((i - (lines.length - 1) / 2f) * 19);
      graphics.drawString(lines[i], MARGIN, baseline);
    }
  }
}
