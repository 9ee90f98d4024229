package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** Tensors of a source, by other names. */
final class RenamedTensors implements TensorSource {
  private final TensorSource source;
  private final Map<String, String> stored; // by the new name

  /**
   * @param source that this closes
   * @param stored the source's names by the new ones
   */
  RenamedTensors(TensorSource source, Map<String, String> stored) {
    this.source = source;
    this.stored = Collections.unmodifiableMap(new LinkedHashMap<>(stored));
  }

  private String stored(String name) {
    String found = stored.get(name);
    if (found == null) {
      throw new IllegalArgumentException(source + " has no tensor \"" + name + "\"");
    }
    return found;
  }

  @Override
  public Set<String> names() {
    return stored.keySet();
  }

  @Override
  public Tensor tensor(String name) {
    return source.tensor(stored(name));
  }

  @Override
  public long[] shape(String name) {
    return source.shape(stored(name));
  }

  @Override
  public long storedBytes(String name) {
    return source.storedBytes(stored(name));
  }

  @Override
  public long copiedBytes(String name, ElementType type) {
    return source.copiedBytes(stored(name), type);
  }

  @Override
  public long madeBytes(String name) {
    return source.madeBytes(stored(name));
  }

  @Override
  public Map<String, String> metadata() {
    return source.metadata();
  }

  @Override
  public void close() {
    source.close();
  }
}
