package io.github.sparsevdit.cli.map;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Mode;
import java.awt.image.BufferedImage;
import java.io.StringReader;
import java.util.Collections;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.xml.sax.InputSource;

class ModeMapTest {
  private static final ModeMap.Cell FULL = new ModeMap.Cell(Mode.FULL, "", 1);
  private static final ModeMap.Cell SKIP = new ModeMap.Cell(Mode.SKIP, "", 0);
  private static final ModeMap.Cell BAND = new ModeMap.Cell(Mode.MULTI_DIAGONAL, "±64 +2", 0.6);
  private static final ModeMap.Cell THIN = new ModeMap.Cell(Mode.MULTI_DIAGONAL, "±0", 0.05);

  private static ModeMap small() {
    var dense = new ModeMap.Panel("early", List.of(List.of(FULL, FULL), List.of(FULL, FULL)));
    var sparse = new ModeMap.Panel("late", List.of(List.of(FULL, SKIP), List.of(BAND, THIN)));
    return new ModeMap("A & B", "1 < 2", List.of(dense, sparse));
  }

  @Test
  void countsEveryCell() {
    assertEquals("{FULL=5, SKIP=1, MULTI_DIAGONAL=2}", small().counts().toString());
  }

  @Test
  void everyCellIsPaintedInItsModesColour() {
    BufferedImage image = ModeMapFigure.image(small());
    // 2 pixels to the unit: margin 24, axis 34, top 78, names 40; cells of 74 x 40; the second
    // panel 28 further on.
    int second = 24 + 34 + 2 * 74 + 28 + 34;
    assertEquals(Palette.colour(Mode.FULL), corner(image, 24 + 34, 0, 0));
    assertEquals(Palette.colour(Mode.FULL), corner(image, second, 0, 0));
    assertEquals(Palette.colour(Mode.SKIP), corner(image, second, 0, 1));
    assertEquals(Palette.colour(Mode.MULTI_DIAGONAL), corner(image, second, 1, 0));
    int thin = corner(image, second, 1, 1);
    assertEquals(Palette.shade(Mode.MULTI_DIAGONAL, 0.05), thin);
    assertTrue(brightness(thin) > brightness(Palette.colour(Mode.MULTI_DIAGONAL)));
  }

  /** A pixel of the cell's upper left, where no text is. */
  private static int corner(BufferedImage image, int left, int layer, int head) {
    return image.getRGB(2 * (left + head * 74 + 5), 2 * (78 + 40 + layer * 40 + 3)) & 0xffffff;
  }

  private static int brightness(int rgb) {
    return (rgb >> 16 & 255) + (rgb >> 8 & 255) + (rgb & 255);
  }

  @Test
  void svgIsWellFormedAndSaysTheSame() throws Exception {
    var document =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(new InputSource(new StringReader(ModeMapFigure.svg(small()))));
    String text = document.getDocumentElement().getTextContent();
    assertTrue(text.contains("A & B") && text.contains("1 < 2") && text.contains("±64 +2"));
    int cells = 0;
    var rectangles = document.getElementsByTagName("rect");
    for (int i = 0; i < rectangles.getLength(); i++) {
      var width = rectangles.item(i).getAttributes().getNamedItem("width").getNodeValue();
      var fill = rectangles.item(i).getAttributes().getNamedItem("fill").getNodeValue();
      cells += width.equals("72.0") && !fill.equals("none") ? 1 : 0;
    }
    assertEquals(8, cells);
  }

  @Test
  void aLargeModelStillFits() {
    var layer = Collections.nCopies(40, BAND);
    var panel = new ModeMap.Panel("all", Collections.nCopies(60, layer));
    BufferedImage image = ModeMapFigure.image(new ModeMap("large", "", List.of(panel, panel)));
    assertTrue(image.getWidth() <= 3200, () -> image.getWidth() + " pixels wide");
    assertTrue(image.getHeight() <= 4400, () -> image.getHeight() + " pixels high");
  }

  @Test
  void textHasALetterPerHeadAndColoursOnlyWhereWanted() {
    String plain = ModeMapText.render(small(), false);
    assertTrue(plain.contains("    1 M 60 M  5\n"), plain);
    assertTrue(plain.contains("    0 F    S   \n"), plain);
    assertTrue(plain.contains("M multi-diagonal 2"), plain);
    assertFalse(plain.contains("\u001b"));
    String coloured = ModeMapText.render(small(), true);
    assertTrue(coloured.contains("\u001b[48;2;230;159;0m"));
    assertEquals(plain.replace(" ", ""), stripped(coloured).replace(" ", ""));
  }

  private static String stripped(String coloured) {
    return coloured.replaceAll("\u001b\\[[0-9;]*m", "");
  }
}
