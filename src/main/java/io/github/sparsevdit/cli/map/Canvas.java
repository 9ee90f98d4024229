package io.github.sparsevdit.cli.map;

/** What a figure is drawn on: pixels or SVG. Lengths are in pixels from the top left. */
interface Canvas {
  /** Where {@code x} is on the text. */
  enum Anchor {
    START,
    MIDDLE,
    END
  }

  /** A filled rectangle without an outline, its corners rounded by {@code radius}. */
  void rectangle(double x, double y, double width, double height, double radius, int rgb);

  /** The outline of a rectangle, one pixel wide. */
  void outline(double x, double y, double width, double height, double radius, int rgb);

  /** One line of text whose middle is at height {@code y}. */
  void text(double x, double y, String text, Anchor anchor, double size, boolean bold, int rgb);
}
