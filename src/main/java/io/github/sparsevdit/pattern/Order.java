package io.github.sparsevdit.pattern;

/**
 * How the video tokens are lined up before they are cut into blocks. Tile sizes are tokens, at
 * least 1 for {@link Kind#TILE_MAJOR} and 0 for the others.
 */
public record Order(Kind kind, int tileT, int tileH, int tileW) {
  /** The three ways. */
  public enum Kind {
    /** (t, h, w), w fastest: as stored. */
    FRAME_MAJOR("frame-major"),
    /** (h, w, t), t fastest: the same place of all frames together. */
    TOKEN_MAJOR("token-major"),
    /**
     * Tiles in (t, h, w) order, tokens in (t, h, w) order inside; tiles at the far edges are short.
     */
    TILE_MAJOR("tile-major");

    private final String json;

    Kind(String json) {
      this.json = json;
    }

    /** The name in tables: {@code "token-major"}. */
    public String json() {
      return json;
    }
  }

  public static final Order FRAME_MAJOR = new Order(Kind.FRAME_MAJOR, 0, 0, 0);
  public static final Order TOKEN_MAJOR = new Order(Kind.TOKEN_MAJOR, 0, 0, 0);

  public Order {
    if (kind == null) {
      throw new IllegalArgumentException("an order needs a kind");
    }
    boolean tiled = kind == Kind.TILE_MAJOR;
    if (tiled && (tileT < 1 || tileH < 1 || tileW < 1)) {
      throw new IllegalArgumentException(
          "tile sizes must be at least 1: " + tileT + " x " + tileH + " x " + tileW);
    }
    if (!tiled && (tileT | tileH | tileW) != 0) {
      throw new IllegalArgumentException(
          kind.json()
              + " has no tiles: "
              + tileT
              + " x "
              + tileH
              + " x "
              + tileW
              + ", expected 0 x 0 x 0");
    }
  }

  /** Tiles of t × h × w tokens. */
  public static Order tileMajor(int t, int h, int w) {
    return new Order(Kind.TILE_MAJOR, t, h, w);
  }

  /**
   * For each position in this order, the index (frame-major, within the video segment) of the token
   * there.
   */
  public int[] tokens(Sequence sequence) {
    int frames = sequence.frames();
    int height = sequence.height();
    int width = sequence.width();
    int[] tokens = new int[sequence.videoTokens()];
    int stepT = kind == Kind.TILE_MAJOR ? Math.min(tileT, frames) : frames;
    int stepH = kind == Kind.TILE_MAJOR ? Math.min(tileH, height) : height;
    int stepW = kind == Kind.TILE_MAJOR ? Math.min(tileW, width) : width;
    if (kind == Kind.TOKEN_MAJOR) {
      stepH = 1; // a tile of all frames and one place: t runs fastest
      stepW = 1;
    }
    int position = 0;
    for (int t0 = 0; t0 < frames; t0 += stepT) {
      for (int h0 = 0; h0 < height; h0 += stepH) {
        for (int w0 = 0; w0 < width; w0 += stepW) {
          for (int t = t0; t < Math.min(t0 + stepT, frames); t++) {
            for (int h = h0; h < Math.min(h0 + stepH, height); h++) {
              for (int w = w0; w < Math.min(w0 + stepW, width); w++) {
                tokens[position++] = (t * height + h) * width + w;
              }
            }
          }
        }
      }
    }
    return tokens;
  }

  /** {@code "token-major"}, {@code "tile-major(2,4,4)"}. */
  @Override
  public String toString() {
    return kind == Kind.TILE_MAJOR
        ? kind.json() + "(" + tileT + "," + tileH + "," + tileW + ")"
        : kind.json();
  }
}
