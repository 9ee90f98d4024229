package io.github.sparsevdit.model.text;

import io.github.sparsevdit.tensor.Safetensors;
import java.nio.file.Path;

/** How large a network's files are. */
final class WeightBytes {
  private WeightBytes() {}

  /** All bytes of the weights in a folder. */
  static long of(Path folder, String variant) {
    try (Safetensors source = Safetensors.open(folder, variant)) {
      return source.names().stream().mapToLong(source::storedBytes).sum();
    }
  }
}
