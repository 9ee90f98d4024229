package io.github.sparsevdit.model.vae;

/**
 * What a VAE takes of memory while it decodes or encodes one video, in bytes.
 *
 * @param weights of the part that is used, decoder or encoder
 * @param working activations at their peak, kept frames among them, and on a device the workspace
 * @param host memory beside that: the result, and tiles until they are blended
 */
public record VaeMemory(long weights, long working, long host) {
  /** All that lies where the backend computes. */
  public long device() {
    return weights + working;
  }

  /** All of it. */
  public long total() {
    return weights + working + host;
  }
}
