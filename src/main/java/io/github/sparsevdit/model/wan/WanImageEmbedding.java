package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
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
  private final Resources buffers = new Resources();
  private Tensor input; // for the last number of tokens
  private Tensor hidden;
  private Tensor output;

  WanImageEmbedding(Weights weights, Backend backend, int features, int width) {
    this.backend = backend;
    String name = "condition_embedder.image_embedder.";
    norm1Weight = weights.stored(name + "norm1.weight", features);
    norm1Bias = weights.stored(name + "norm1.bias", features);
    first = weights.linear(name + "ff.net.0.proj", features, features);
    second = weights.linear(name + "ff.net.2", features, width);
    norm2Weight = weights.stored(name + "norm2.weight", width);
    norm2Bias = weights.stored(name + "norm2.bias", width);
  }

  /** Writes the embedding of image [tokens, features] to out [tokens, width]. */
  void embed(Operations operations, Tensor image, Tensor out) {
    if (output == null || output.size(0) != image.size(0)) {
      close();
      input = buffers.add(backend.allocate(ElementType.FP32, image.size(0), image.size(1)));
      hidden = buffers.add(backend.allocate(ElementType.FP32, image.size(0), image.size(1)));
      output = buffers.add(backend.allocate(ElementType.FP32, image.size(0), out.size(1)));
    }
    operations.load(image, input);
    operations.layerNorm(input, norm1Weight, norm1Bias, null, null, EPSILON, input);
    first.apply(operations, input, hidden);
    operations.convert(hidden, Activation.GELU_ERF, hidden);
    second.apply(operations, hidden, output);
    operations.layerNorm(output, norm2Weight, norm2Bias, null, null, EPSILON, out);
  }

  @Override
  public void close() {
    output = null;
    buffers.close();
  }
}
