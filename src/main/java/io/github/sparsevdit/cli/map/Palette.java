package io.github.sparsevdit.cli.map;

import io.github.sparsevdit.pattern.Mode;

/**
 * A colour and a letter for each mode. The colours are those of Okabe and Ito, which people with
 * any common colour blindness can tell apart; they also differ in lightness.
 */
final class Palette {
  static final int INK = 0x222222;
  static final int MUTED = 0x6b6b6b;
  static final int PAPER = 0xffffff;
  static final int RULE = 0xd0d0d0;

  private Palette() {}

  static int colour(Mode mode) {
    return switch (mode) {
      case FULL -> 0x4d4d4d;
      case SKIP -> 0xf2f2f2;
      case DIAGONAL -> 0x0072b2;
      case MULTI_DIAGONAL -> 0xe69f00;
      case VERTICAL_STRIPE -> 0x009e73;
      case BLOCKS -> 0xcc79a7;
    };
  }

  static char letter(Mode mode) {
    return switch (mode) {
      case FULL -> 'F';
      case SKIP -> 'S';
      case DIAGONAL -> 'D';
      case MULTI_DIAGONAL -> 'M';
      case VERTICAL_STRIPE -> 'V';
      case BLOCKS -> 'B';
    };
  }

  static String name(Mode mode) {
    return mode.json();
  }

  /** The mode's colour, paler the fewer keys the head sees: that is the map's shade. */
  static int shade(Mode mode, double density) {
    if (mode == Mode.SKIP || mode == Mode.FULL || Double.isNaN(density)) {
      return colour(mode);
    }
    // From a third of the colour at density 0 to all of it at 0.6, where sparse heads stop to be.
    double share = 0.3 + 0.7 * Math.min(1, density / 0.6);
    return mix(PAPER, colour(mode), share);
  }

  /** Ink that can be read on {@code background}. */
  static int inkOn(int background) {
    double light =
        0.299 * (background >> 16 & 255)
            + 0.587 * (background >> 8 & 255)
            + 0.114 * (background & 255);
    return light > 135 ? INK : PAPER;
  }

  private static int mix(int from, int to, double share) {
    int mixed = 0;
    for (int shift = 0; shift < 24; shift += 8) {
      int a = from >> shift & 255;
      int b = to >> shift & 255;
      mixed |= (int) Math.round(a + (b - a) * share) << shift;
    }
    return mixed;
  }
}
