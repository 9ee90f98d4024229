package io.github.sparsevdit.model.text;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/** Looks tokens up in a table of embeddings. */
final class Embeddings {
  private Embeddings() {}

  /**
   * A buffer of FP32 rows, one for each token.
   *
   * @param table [vocabulary, width], in host memory, as it is stored
   * @throws IllegalArgumentException if a token is not in the table
   */
  static Tensor rows(EncoderBuffers buffers, Tensor table, int[] ids, String where) {
    int width = Math.toIntExact(table.size(1));
    float[] rows = new float[ids.length * width];
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0 || ids[i] >= table.size(0)) {
        throw new IllegalArgumentException(
            "%s: token %d is not in its vocabulary of %d: the tokenizer is another model's"
                .formatted(where, ids[i], table.size(0)));
      }
      System.arraycopy(table.select(0, ids[i]).toFloats(), 0, rows, i * width, width);
    }
    return buffers.filled(ElementType.FP32, rows, ids.length, width);
  }
}
