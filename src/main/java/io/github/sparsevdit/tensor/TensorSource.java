package io.github.sparsevdit.tensor;

import java.util.Map;
import java.util.Set;

/** Named tensors from somewhere; they live until it is closed. */
public interface TensorSource extends AutoCloseable {
  /** The names, in the source's order. */
  Set<String> names();

  /** Whether there is a tensor of that name. */
  default boolean has(String name) {
    return names().contains(name);
  }

  /**
   * The tensor of that name; the source owns its memory. IllegalArgumentException if there is none,
   * UnsupportedException if its elements are of no {@link ElementType}.
   */
  Tensor tensor(String name);

  /** Elements along each dimension of a tensor. */
  default long[] shape(String name) {
    return tensor(name).shape();
  }

  /** The bytes of a tensor as it is stored. */
  default long storedBytes(String name) {
    Tensor tensor = tensor(name);
    return tensor.elements() * tensor.type().bytes();
  }

  /**
   * The bytes that a tensor takes in an element type beside those it is stored in: 0 where it is
   * used in place.
   */
  default long copiedBytes(String name, ElementType type) {
    Tensor tensor = tensor(name);
    return tensor.type() == type ? 0 : tensor.elements() * type.bytes();
  }

  /**
   * The bytes of memory that {@link #tensor} itself takes for a tensor, until the source is closed:
   * 0 where it is mapped. {@link #copiedBytes} counts them too.
   */
  default long madeBytes(String name) {
    return 0;
  }

  /** What else the source says about itself. */
  Map<String, String> metadata();

  /** May be called twice; waits for native calls that use a tensor. */
  @Override
  void close();
}
