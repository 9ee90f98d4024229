package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/** linear_2(activation(linear_1(text))), in the type that is computed in. */
public final class TextEmbedding implements AutoCloseable {
  private final Linear first;
  private final Linear second;
  private final Activation activation;
  private final Backend backend;
  private final ElementType type;
  private final Resources buffers = new Resources();
  private Tensor input; // for the last number of tokens
  private Tensor hidden;

  /**
   * @param name of the module that holds linear_1 and linear_2
   * @param width of the result
   */
  public TextEmbedding(
      Weights weights,
      Backend backend,
      String name,
      int features,
      int width,
      Activation activation) {
    this.backend = backend;
    this.activation = activation;
    type = weights.type();
    first = weights.linear(name + ".linear_1", features, width);
    second = weights.linear(name + ".linear_2", width, width);
  }

  /** Writes the embedding of text [tokens, features] to out [tokens, width]. */
  public void embed(Operations operations, Tensor text, Tensor out) {
    if (hidden == null || hidden.size(0) != text.size(0)) {
      close();
      input = buffers.add(backend.allocate(type, text.size(0), text.size(1)));
      hidden = buffers.add(backend.allocate(type, text.size(0), first.outputs()));
    }
    operations.load(text, input);
    first.apply(operations, input, activation, hidden);
    second.apply(operations, hidden, out);
  }

  @Override
  public void close() {
    hidden = null;
    buffers.close();
  }
}
