package io.github.sparsevdit.sweep;

import java.util.Arrays;

/** What a sweep measured. Heads, query blocks and stops are indices into those asked for. */
public final class SweepResult {
  private final int heads;
  private final int queryBlocks;
  private final int stops;
  private final int block;
  private final int headDim;
  private final int keyBlocks;
  private final double[] error;
  private final double[] norm;
  private final float[] reference;
  private final double[] mass;

  public SweepResult(
      int heads,
      int queryBlocks,
      int stops,
      int block,
      int headDim,
      int keyBlocks,
      double[] error,
      double[] norm,
      float[] reference,
      double[] mass) {
    this.heads = heads;
    this.queryBlocks = queryBlocks;
    this.stops = stops;
    this.block = block;
    this.headDim = headDim;
    this.keyBlocks = keyBlocks;
    this.error = error;
    this.norm = norm;
    this.reference = reference;
    this.mass = mass;
  }

  /**
   * Σ over the block's rows of |(O_stop − O_0)·W|²; 0 for text query blocks, which see all keys at
   * every stop.
   */
  public double error(int batch, int head, int queryBlock, int stop) {
    return error[at(batch, head, queryBlock) * stops + stop];
  }

  /** Σ over the block's rows of |O_0·W|²: what skip loses. */
  public double norm(int batch, int head, int queryBlock) {
    return norm[at(batch, head, queryBlock)];
  }

  /**
   * O_0, [block, D] row-major; rows past a short block's end are 0. Only where it was asked for.
   */
  public float[] reference(int batch, int head, int queryBlock) {
    require(reference != null, "O_0");
    int size = block * headDim;
    int begin = at(batch, head, queryBlock) * size;
    return Arrays.copyOfRange(reference, begin, begin + size);
  }

  /**
   * Attention mass the block's rows put on a video key block, summed over the rows. Only where it
   * was asked for.
   */
  public double mass(int batch, int head, int queryBlock, int keyBlock) {
    require(mass != null, "mass");
    if (keyBlock < 0 || keyBlock >= keyBlocks) {
      throw new IndexOutOfBoundsException("key block " + keyBlock + " of " + keyBlocks);
    }
    return mass[at(batch, head, queryBlock) * keyBlocks + keyBlock];
  }

  private int at(int batch, int head, int queryBlock) {
    if (head < 0 || head >= heads || queryBlock < 0 || queryBlock >= queryBlocks) {
      throw new IndexOutOfBoundsException(
          "head " + head + " of " + heads + ", query block " + queryBlock + " of " + queryBlocks);
    }
    return (batch * heads + head) * queryBlocks + queryBlock;
  }

  private static void require(boolean asked, String what) {
    if (!asked) {
      throw new IllegalStateException("the request did not ask for " + what);
    }
  }
}
