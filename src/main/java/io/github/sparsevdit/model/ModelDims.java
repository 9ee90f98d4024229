package io.github.sparsevdit.model;

/** Sizes that all of a denoiser's layers share. */
record ModelDims(int heads, int headDim) {
  /** Features of a token. */
  int width() {
    return heads * headDim;
  }
}
