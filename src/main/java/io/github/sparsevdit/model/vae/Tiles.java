package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A picture cut into overlapping tiles, as diffusers cuts it: a tile begins every stride and is
 * blended into the ones above and to the left of it, which are blended already. One row of tiles is
 * kept for the next one.
 *
 * @param height of the input
 * @param width of the input
 * @param tileHeight of a tile of the input; the last ones may be smaller
 * @param tileWidth the same of columns
 * @param stepHeight of the input from a tile to the next
 * @param stepWidth the same of columns
 * @param cropHeight what is used of a tile of the output
 * @param cropWidth the same of columns
 * @param blendHeight rows of the output that are blended
 * @param blendWidth columns that are
 */
record Tiles(
    int height,
    int width,
    int tileHeight,
    int tileWidth,
    int stepHeight,
    int stepWidth,
    int cropHeight,
    int cropWidth,
    int blendHeight,
    int blendWidth) {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  Tiles {
    if (tileHeight < 1 || tileWidth < 1 || stepHeight < 1 || stepWidth < 1) {
      throw new IllegalArgumentException(
          ("tiles of %d x %d every %d x %d; expected at least one latent each:"
                  + " give larger tiles or strides")
              .formatted(tileHeight, tileWidth, stepHeight, stepWidth));
    }
    if (blendHeight < 0 || blendWidth < 0) {
      throw new IllegalArgumentException(
          "tiles are smaller than the stride between them: give larger tiles or smaller strides");
    }
  }

  /** Computes what a tile becomes: rows y0 … y1 and columns x0 … x1 of the input. */
  interface Tile {
    /** What {@link Canvas#video} gave, and is freed by the caller. */
    Video of(int y0, int y1, int x0, int x1);
  }

  int down() {
    return (height + stepHeight - 1) / stepHeight;
  }

  int across() {
    return (width + stepWidth - 1) / stepWidth;
  }

  int count() {
    return down() * across();
  }

  /** Computes all tiles and writes them, blended and cropped, to result. */
  void run(Canvas canvas, Tile tile, Video result) {
    Video[] above = new Video[across()];
    Video[] row = new Video[across()];
    try {
      int top = 0;
      for (int i = 0; i < down(); i++) {
        int left = 0;
        for (int j = 0; j < across(); j++) {
          int y = i * stepHeight;
          int x = j * stepWidth;
          row[j] = tile.of(y, Math.min(y + tileHeight, height), x, Math.min(x + tileWidth, width));
          if (i > 0) {
            blend(above[j], row[j], 2, blendHeight);
          }
          if (j > 0) {
            blend(row[j - 1], row[j], 3, blendWidth);
          }
          copy(row[j], result, top, left);
          left += Math.min(cropWidth, row[j].width());
        }
        requireFilled("columns", left, result.width());
        top += Math.min(cropHeight, row[0].height());
        free(canvas, above);
        System.arraycopy(row, 0, above, 0, row.length);
        Arrays.fill(row, null);
      }
      requireFilled("rows", top, result.height());
    } finally {
      free(canvas, above);
      free(canvas, row);
    }
  }

  private static void requireFilled(String what, int made, int wanted) {
    if (made < wanted) {
      throw new IllegalArgumentException(
          "these tiles give %d of %d %s: their stride is no whole number of latents"
              .formatted(made, wanted, what));
    }
  }

  private static void free(Canvas canvas, Video[] tiles) {
    for (int j = 0; j < tiles.length; j++) {
      canvas.free(tiles[j]);
      tiles[j] = null;
    }
  }

  private void copy(Video tile, Video result, int top, int left) {
    int rows = Math.min(Math.min(cropHeight, tile.height()), result.height() - top);
    int columns = Math.min(Math.min(cropWidth, tile.width()), result.width() - left);
    if (rows <= 0 || columns <= 0 || result.tensor() == null) {
      return;
    }
    result
        .region(top, top + rows, left, left + columns)
        .tensor()
        .copyFrom(tile.region(0, rows, 0, columns).tensor());
  }

  /**
   * The first elements of b along dim become those of a's last ones, and ever more their own: as
   * many as extent, and as either has.
   */
  static void blend(Video first, Video second, int dim, int extent) {
    if (first.tensor() == null) {
      return;
    }
    Tensor a = first.tensor();
    Tensor b = second.tensor();
    int width = (int) Math.min(extent, Math.min(a.size(dim), b.size(dim)));
    for (int i = 0; i < width; i++) {
      float own = (float) ((double) i / width);
      float other = (float) (1 - (double) i / width);
      mix(
          a.slice(dim, a.size(dim) - width + i, a.size(dim) - width + i + 1), other,
          b.slice(dim, i, i + 1), own);
    }
  }

  /** b = other · a + own · b. */
  private static void mix(Tensor a, float other, Tensor b, float own) {
    MemorySegment from = a.segment();
    MemorySegment to = b.segment();
    for (long c = 0; c < b.size(0); c++) {
      for (long f = 0; f < b.size(1); f++) {
        for (long y = 0; y < b.size(2); y++) {
          long at = c * a.stride(0) + f * a.stride(1) + y * a.stride(2);
          long own0 = c * b.stride(0) + f * b.stride(1) + y * b.stride(2);
          for (long x = 0; x < b.size(3); x++) {
            long place = own0 + x * b.stride(3);
            to.setAtIndex(
                FLOAT,
                place,
                from.getAtIndex(FLOAT, at + x * a.stride(3)) * other
                    + to.getAtIndex(FLOAT, place) * own);
          }
        }
      }
    }
  }
}
