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

  /** What else the source says about itself. */
  Map<String, String> metadata();

  /** May be called twice; waits for native calls that use a tensor. */
  @Override
  void close();
}
