package io.github.sparsevdit.model;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * Wan I2V's embedding of an image's CLIP features: norm, linear, GELU (by the error function, here
 * alone), linear, norm. Small and done in fp32.
 */
final class WanImageEmbedding implements AutoCloseable {
  private static final float EPSILON = 1e-5f;

  private final Backend backend;
  private final Tensor norm1Weight;
  private final Tensor norm1Bias;
  private final Linear first;
  private final Linear second;
  private final Tensor norm2Weight;
  private final Tensor norm2Bias;
  private Tensor hidden; // for the last number of tokens
  private Tensor output;

  WanImageEmbedding(Weights weights, Backend backend, int features, int width) {
    this.backend = backend;
    String name = "condition_embedder.image_embedder.";
    norm1Weight = weights.stored(name + "norm1.weight", features);
    norm1Bias = weights.stored(name + "norm1.bias", features);
    first = weights.linearFp32(name + "ff.net.0.proj", features, features);
    second = weights.linearFp32(name + "ff.net.2", features, width);
    norm2Weight = weights.stored(name + "norm2.weight", width);
    norm2Bias = weights.stored(name + "norm2.bias", width);
  }

  /** Writes the embedding of image [tokens, features] to out [tokens, width]. */
  void embed(Operations operations, Tensor image, Tensor out) {
    if (hidden == null || hidden.size(0) != image.size(0)) {
      close();
      hidden = backend.allocate(ElementType.FP32, image.size(0), image.size(1));
      output = backend.allocate(ElementType.FP32, image.size(0), out.size(1));
    }
    try (Tensor normed = backend.allocate(ElementType.FP32, image.shape())) {
      operations.layerNorm(image, norm1Weight, norm1Bias, null, null, EPSILON, normed);
      first.apply(operations, normed, hidden);
    }
    float[] values = hidden.toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (0.5 * values[i] * (1 + erf(values[i] / Math.sqrt(2))));
    }
    hidden.copyFrom(values);
    second.apply(operations, hidden, output);
    operations.layerNorm(output, norm2Weight, norm2Bias, null, null, EPSILON, out);
  }

  /** The error function: its Taylor series near 0, the continued fraction of erfc beyond. */
  static double erf(double x) {
    double square = x * x;
    if (square < 6) {
      double term = x;
      double sum = x;
      for (int n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
        term *= -square / n;
        sum += term / (2 * n + 1);
      }
      return 2 / Math.sqrt(Math.PI) * sum;
    }
    double fraction = 0;
    for (int n = 40; n > 0; n--) {
      fraction = n / 2.0 / (Math.abs(x) + fraction);
    }
    double tail = Math.exp(-square) / (Math.sqrt(Math.PI) * (Math.abs(x) + fraction));
    return Math.copySign(1 - tail, x);
  }

  @Override
  public void close() {
    if (hidden != null) {
      hidden.close();
      output.close();
    }
  }
}
