package io.github.sparsevdit.pattern;

/** What a table must agree with: layers, heads and head dim. The name is a label only. */
public record ModelShape(String name, int layers, int heads, int headDim) {
  public ModelShape {
    if (name == null) {
      throw new IllegalArgumentException("a model shape needs a name; it may be empty");
    }
    if (layers < 1 || heads < 1 || headDim < 1) {
      throw new IllegalArgumentException(
          "layers, heads and headDim must be at least 1: "
              + layers
              + ", "
              + heads
              + ", "
              + headDim);
    }
  }

  /** Whether other has the same layers, heads and head dim, whatever its name. */
  public boolean matches(ModelShape other) {
    return layers == other.layers && heads == other.heads && headDim == other.headDim;
  }

  /** {@code "Wan2.1-T2V-1.3B: 30 layers x 12 heads x 128"}. */
  @Override
  public String toString() {
    return (name.isEmpty() ? "model" : name)
        + ": "
        + layers
        + " layers x "
        + heads
        + " heads x "
        + headDim;
  }
}
