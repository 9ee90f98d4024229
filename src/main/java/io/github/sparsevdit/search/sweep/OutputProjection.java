package io.github.sparsevdit.search.sweep;

import io.github.sparsevdit.search.capture.Placement;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * A layer's output projection W_O, as [d, H·D] in row-major floats: what turns the disturbance of
 * one head's output into the disturbance of the layer's.
 */
public final class OutputProjection {
  private final int heads;
  private final int headDim;
  private final int outputs;
  private final float[] weight;

  public OutputProjection(Tensor weight, int heads, int headDim) {
    if (weight.rank() != 2 || weight.size(1) != (long) heads * headDim) {
      throw new IllegalArgumentException(
          "output projection of shape %s; expected [d, %d] for %d heads of %d"
              .formatted(Arrays.toString(weight.shape()), heads * headDim, heads, headDim));
    }
    this.heads = heads;
    this.headDim = headDim;
    this.outputs = Math.toIntExact(weight.size(0));
    try (Arena arena = Arena.ofShared()) {
      this.weight = Placement.onHost(weight, arena).toFloats();
    }
  }

  /** [H, D, D]: per head W_O,h W_O,hᵀ, so that |x W_O,h|² = x Gram xᵀ. */
  public float[] gram() {
    int width = heads * headDim;
    float[] gram = new float[heads * headDim * headDim];
    IntStream.range(0, heads)
        .parallel()
        .forEach(
            head -> {
              double[] sums = new double[headDim * headDim];
              for (int o = 0; o < outputs; o++) {
                int row = o * width + head * headDim;
                for (int i = 0; i < headDim; i++) {
                  double left = weight[row + i];
                  for (int j = 0; j < headDim; j++) {
                    sums[i * headDim + j] += left * weight[row + j];
                  }
                }
              }
              for (int i = 0; i < sums.length; i++) {
                gram[head * sums.length + i] = (float) sums[i];
              }
            });
    return gram;
  }

  /**
   * ‖Σ_h O_h W_O,h‖² of each row.
   *
   * @param heads the rows of all heads, feature-major: value [i · rows + r] is feature i (head · D
   *     + dim) of row r
   * @param rows number of rows
   */
  public double[] squaredNorms(float[] features, int rows) {
    int width = heads * headDim;
    // Every thread takes its own outputs; their squares are added in order of the output, so the
    // sum never depends on
    // the number of threads.
    float[][] projected = new float[outputs][];
    IntStream.range(0, outputs)
        .parallel()
        .forEach(o -> projected[o] = project(features, rows, o * width, width));
    double[] norms = new double[rows];
    for (float[] output : projected) {
      for (int r = 0; r < rows; r++) {
        norms[r] += (double) output[r] * output[r];
      }
    }
    return norms;
  }

  private float[] project(float[] features, int rows, int row, int width) {
    float[] sums = new float[rows];
    int i = 0;
    for (; i + 4 <= width; i += 4) {
      float w0 = weight[row + i];
      float w1 = weight[row + i + 1];
      float w2 = weight[row + i + 2];
      float w3 = weight[row + i + 3];
      int at = i * rows;
      for (int r = 0; r < rows; r++) {
        sums[r] +=
            w0 * features[at + r]
                + w1 * features[at + rows + r]
                + w2 * features[at + 2 * rows + r]
                + w3 * features[at + 3 * rows + r];
      }
    }
    for (; i < width; i++) {
      float w = weight[row + i];
      for (int r = 0; r < rows; r++) {
        sums[r] += w * features[i * rows + r];
      }
    }
    return sums;
  }
}
