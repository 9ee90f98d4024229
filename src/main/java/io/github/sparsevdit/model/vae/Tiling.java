package io.github.sparsevdit.model.vae;

/**
 * How a picture is cut into tiles that are decoded or encoded apart and blended where they overlap,
 * as diffusers' {@code enable_tiling} does it: less memory, another result. A null entry is the
 * VAE's own default; one that a VAE does not have is refused.
 *
 * @param spatial whether pictures larger than a tile are cut at all
 * @param minHeight height of a tile in pixels ({@code tile_sample_min_height})
 * @param minWidth its width
 * @param strideHeight pixels from one tile to the next (Wan, HunyuanVideo)
 * @param strideWidth the same of columns
 * @param minFrames frames of a run of tiles in time (HunyuanVideo)
 * @param strideFrames frames from one such run to the next
 * @param overlapHeight part of a tile that overlaps (CogVideoX: {@code tile_overlap_factor_height})
 * @param overlapWidth the same of columns
 * @param framewise whether long videos are cut in time (HunyuanVideo); null is yes
 */
public record Tiling(
    boolean spatial,
    Integer minHeight,
    Integer minWidth,
    Integer strideHeight,
    Integer strideWidth,
    Integer minFrames,
    Integer strideFrames,
    Double overlapHeight,
    Double overlapWidth,
    Boolean framewise) {
  /** What diffusers' pipelines do unless told otherwise: no tiles in space. */
  public static final Tiling NONE =
      new Tiling(false, null, null, null, null, null, null, null, null, null);

  /** Tiles of the VAE's own sizes. */
  public static final Tiling DEFAULT =
      new Tiling(true, null, null, null, null, null, null, null, null, null);

  public Tiling {
    requirePositive("minHeight", minHeight);
    requirePositive("minWidth", minWidth);
    requirePositive("strideHeight", strideHeight);
    requirePositive("strideWidth", strideWidth);
    requirePositive("minFrames", minFrames);
    requirePositive("strideFrames", strideFrames);
    requirePart("overlapHeight", overlapHeight);
    requirePart("overlapWidth", overlapWidth);
  }

  /** The same without, or with, runs of frames. */
  public Tiling withFramewise(boolean on) {
    return new Tiling(
        spatial,
        minHeight,
        minWidth,
        strideHeight,
        strideWidth,
        minFrames,
        strideFrames,
        overlapHeight,
        overlapWidth,
        on);
  }

  private static void requirePositive(String name, Integer value) {
    if (value != null && value < 1) {
      throw new IllegalArgumentException(name + " is " + value + "; expected at least 1");
    }
  }

  private static void requirePart(String name, Double value) {
    if (value != null && !(value > 0 && value < 1)) {
      throw new IllegalArgumentException(name + " is " + value + "; expected between 0 and 1");
    }
  }

  /** Throws for an entry that is set and that the VAE does not have. */
  void requireNone(String vae, String name, Object value) {
    if (value != null) {
      throw new IllegalArgumentException(
          "tiling of " + vae + ": " + name + " is " + value + ", which this VAE does not have");
    }
  }
}
