package io.github.sparsevdit.model.parts;

/** Sizes that all of a denoiser's layers share. */
public record ModelDims(int heads, int headDim) {
  /** Features of a token. */
  public int width() {
    return heads * headDim;
  }
}
