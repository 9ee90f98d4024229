package io.github.sparsevdit.cli.map;

import io.github.sparsevdit.cli.map.Canvas.Anchor;
import io.github.sparsevdit.pattern.Mode;
import java.awt.image.BufferedImage;
import java.util.List;
import java.util.Locale;

/**
 * The mode map as a picture. Small models get cells with the head's parameters and density written
 * in them; in large ones the cells shrink to coloured squares, whose shade still tells the density.
 */
public final class ModeMapFigure {
  private static final int MARGIN = 24;
  private static final int AXIS = 34;
  private static final int TOP = 78;
  private static final int PANEL_NAME = 40;
  private static final int LEGEND = 64;
  private static final int GAP = 28;
  private static final int WIDEST = 1500;
  private static final int NARROWEST = 560;

  private final ModeMap map;
  private final int cellWidth;
  private final int cellHeight;
  private final int perRow;

  private ModeMapFigure(ModeMap map) {
    this.map = map;
    boolean written = map.heads() * map.panels().size() <= 48 && map.layers() <= 24;
    cellWidth = written ? 74 : Math.clamp(WIDEST / map.heads(), 9, 22);
    cellHeight = written ? 40 : Math.clamp(900 / map.layers(), 9, 22);
    int panels = Math.max(1, (WIDEST - 2 * MARGIN + GAP) / (panelWidth() + GAP));
    int rows = Math.ceilDiv(map.panels().size(), panels);
    perRow = Math.ceilDiv(map.panels().size(), rows);
  }

  /**
   * The figure as an image, two pixels to the unit. Needs a font, which a bare machine may lack.
   */
  public static BufferedImage image(ModeMap map) {
    ModeMapFigure figure = new ModeMapFigure(map);
    ImageCanvas canvas = new ImageCanvas(figure.width(), figure.height(), 2);
    figure.draw(canvas);
    return canvas.finish();
  }

  /** The figure as an SVG document. */
  public static String svg(ModeMap map) {
    ModeMapFigure figure = new ModeMapFigure(map);
    SvgCanvas canvas = new SvgCanvas(figure.width(), figure.height());
    figure.draw(canvas);
    return canvas.finish();
  }

  private int panelWidth() {
    return AXIS + map.heads() * cellWidth;
  }

  private int panelHeight() {
    return PANEL_NAME + map.layers() * cellHeight;
  }

  private int width() {
    return Math.max(NARROWEST, 2 * MARGIN + perRow * (panelWidth() + GAP) - GAP);
  }

  private int height() {
    int rows = (map.panels().size() + perRow - 1) / perRow;
    return TOP + rows * (panelHeight() + GAP) - GAP + LEGEND;
  }

  private void draw(Canvas canvas) {
    canvas.text(MARGIN, 30, map.title(), Anchor.START, 18, true, Palette.INK);
    canvas.text(MARGIN, 54, map.subtitle(), Anchor.START, 12, false, Palette.MUTED);
    for (int i = 0; i < map.panels().size(); i++) {
      double x = MARGIN + i % perRow * (panelWidth() + GAP);
      double y = TOP + i / perRow * (panelHeight() + GAP);
      drawPanel(canvas, map.panels().get(i), x, y);
    }
    drawLegend(canvas, height() - LEGEND / 2.0);
  }

  private void drawPanel(Canvas canvas, ModeMap.Panel panel, double x, double y) {
    canvas.text(x + AXIS, y + 8, panel.name(), Anchor.START, 12, true, Palette.INK);
    canvas.text(x + AXIS - 8, y + 28, "layer", Anchor.END, 9, false, Palette.MUTED);
    for (int head = 0; head < map.heads(); head++) {
      if (labelled(head, cellWidth, map.heads())) {
        double middle = x + AXIS + (head + 0.5) * cellWidth;
        String label = cellWidth > 40 ? "head " + head : Integer.toString(head);
        canvas.text(middle, y + 28, label, Anchor.MIDDLE, 10, false, Palette.MUTED);
      }
    }
    for (int layer = 0; layer < map.layers(); layer++) {
      double top = y + PANEL_NAME + layer * cellHeight;
      if (labelled(layer, cellHeight, map.layers())) {
        double middle = top + cellHeight / 2.0;
        String label = Integer.toString(layer);
        canvas.text(x + AXIS - 8, middle, label, Anchor.END, 10, false, Palette.MUTED);
      }
      List<ModeMap.Cell> cells = panel.layers().get(layer);
      for (int head = 0; head < cells.size(); head++) {
        drawCell(canvas, cells.get(head), x + AXIS + head * cellWidth, top);
      }
    }
  }

  private static boolean labelled(int index, int room, int count) {
    int step = room >= 14 ? 1 : 5;
    return index % step == 0 && index < count;
  }

  private void drawCell(Canvas canvas, ModeMap.Cell cell, double x, double y) {
    int background = Palette.shade(cell.mode(), cell.density());
    double gap = cellWidth > 40 ? 2 : 1;
    double radius = cellWidth > 40 ? 4 : 1.5;
    canvas.rectangle(x, y, cellWidth - gap, cellHeight - gap, radius, background);
    if (cell.mode() == Mode.SKIP) {
      canvas.outline(
          x + 0.5, y + 0.5, cellWidth - gap - 1, cellHeight - gap - 1, radius, Palette.RULE);
    }
    if (cellWidth <= 40) {
      return;
    }
    int ink = Palette.inkOn(background);
    double middle = x + (cellWidth - gap) / 2;
    String first = cell.detail().isEmpty() ? Palette.name(cell.mode()) : cell.detail();
    canvas.text(middle, y + 13, first, Anchor.MIDDLE, 11, true, ink);
    String density =
        Double.isNaN(cell.density()) ? "" : String.format(Locale.ROOT, "%.2f", cell.density());
    canvas.text(middle, y + 27, density, Anchor.MIDDLE, 10, false, ink);
  }

  private void drawLegend(Canvas canvas, double y) {
    double x = MARGIN;
    for (Mode mode : Mode.values()) {
      Integer count = map.counts().get(mode);
      if (count == null) {
        continue;
      }
      canvas.rectangle(x, y - 7, 14, 14, 3, Palette.colour(mode));
      if (mode == Mode.SKIP) {
        canvas.outline(x + 0.5, y - 6.5, 13, 13, 3, Palette.RULE);
      }
      String label = Palette.name(mode) + " " + count;
      canvas.text(x + 20, y, label, Anchor.START, 11, false, Palette.INK);
      x += 34 + 6.6 * label.length();
    }
    String shade =
        "In a cell: window in tokens (+ anchors) or stripes, and density. The paler, the fewer keys"
            + " the head sees.";
    canvas.text(MARGIN, y + 20, shade, Anchor.START, 10, false, Palette.MUTED);
  }
}
