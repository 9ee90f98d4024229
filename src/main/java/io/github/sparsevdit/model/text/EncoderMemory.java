package io.github.sparsevdit.model.text;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;

/**
 * What an encoder takes of memory, in bytes: bounds, said before it is opened.
 *
 * @param weights mapped from disk; the system drops their pages when memory is short
 * @param layer the largest layer's weights, as they are uploaded to a device
 * @param converted of one layer, where weights are stored in another element type
 * @param activations buffers of a pass
 */
public record EncoderMemory(long weights, long layer, long converted, long activations) {
  static EncoderMemory of(Path folder, String variant, ElementType type, long activations) {
    return new EncoderMemory(
        WeightBytes.of(folder, variant),
        LayerWeights.layerBytes(folder, variant, type),
        LayerWeights.copiedBytes(folder, variant, type),
        activations);
  }

  /** What must fit where the encoder computes, beside the mapped weights. */
  public long needed(Backend.Kind kind) {
    return activations + (kind == Backend.Kind.CUDA ? layer : converted);
  }
}
