package io.github.sparsevdit.model;

/**
 * Arithmetic of one forward pass, in FLOP (2 for each multiply-add). Embedders, modulation and
 * norms are left out, as is usual: they are a few thousandths.
 *
 * @param products of all matrix products and of cross-attention
 * @param attention of dense self-attention, which a pattern's density scales
 */
public record ForwardCost(double products, double attention) {
  /** With self-attention of that density. */
  public double total(double density) {
    return products + density * attention;
  }

  /** The products of so many tokens with weights of all layers, and N² · d attention in each. */
  public static ForwardCost of(int layers, double productsOfLayer, double tokens, double width) {
    return new ForwardCost(layers * productsOfLayer, layers * 4 * tokens * tokens * width);
  }
}
