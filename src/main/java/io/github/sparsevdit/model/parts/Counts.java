package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.tensor.ElementType;

/** Sizes that families' geometries are added up from: parameters of layers, bytes of buffers. */
public final class Counts {
  private Counts() {}

  /** A linear layer's weight and bias. */
  public static long linear(long inputs, long outputs) {
    return inputs * outputs + outputs;
  }

  /** linear_2(linear_1(…)) of an embedding. */
  public static long embedding(long inputs, long width) {
    return linear(inputs, width) + linear(width, width);
  }

  /** An FFN's two layers. */
  public static long feedForward(long width, long hidden) {
    return linear(width, hidden) + linear(hidden, width);
  }

  /** Bytes of a chunked buffer; see {@link Workspace#chunk}. */
  public static long chunkBytes(ElementType type, long rows, long width) {
    return Workspace.chunk(type, rows, width) * width * type.bytes();
  }

  /** Bytes of the patches of all video tokens, as gathered and as computed with. */
  public static long patchBytes(ElementType type, long tokens, long features) {
    return tokens * features * (type == ElementType.FP32 ? 4 : 4 + type.bytes());
  }
}
