package io.github.sparsevdit.model.text;

/**
 * What an encoder takes of memory, in bytes: bounds, said before it is opened.
 *
 * @param weights mapped from disk; the system drops their pages when memory is short
 * @param converted of one layer, where weights are stored in another element type
 * @param activations buffers of a pass
 */
public record EncoderMemory(long weights, long converted, long activations) {
  /** What must fit beside the mapped weights. */
  public long needed() {
    return converted + activations;
  }
}
