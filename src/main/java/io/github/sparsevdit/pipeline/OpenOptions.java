package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;

/**
 * How a {@link Generator} opens a checkpoint. Immutable.
 *
 * @param type that the denoiser computes in: BF16 or FP32
 * @param variant of the weights, as diffusers names them ("fp16"); null for those without one, else
 *     the only one there is
 * @param embeddings a file of prompt embeddings (calibration/README.md describes it); null for
 *     {@code prompt_embeds.safetensors} in the folder
 * @param textEncoder for the prompts, which the generator then closes; null for what {@link
 *     TextEncoder} says
 * @param latentDecoder for the latents, which the generator then closes; null for what {@link
 *     LatentDecoder} says
 */
public record OpenOptions(
    ElementType type,
    String variant,
    Path embeddings,
    TextEncoder textEncoder,
    LatentDecoder latentDecoder) {
  /** BF16, and all else from the folder. */
  public static OpenOptions defaults() {
    return new OpenOptions(ElementType.BF16, null, null, null, null);
  }

  /** The same with another element type. */
  public OpenOptions withType(ElementType type) {
    return new OpenOptions(type, variant, embeddings, textEncoder, latentDecoder);
  }

  /** The same with a variant of the weights. */
  public OpenOptions withVariant(String variant) {
    return new OpenOptions(type, variant, embeddings, textEncoder, latentDecoder);
  }

  /** The same with a file of embeddings. */
  public OpenOptions withEmbeddings(Path embeddings) {
    return new OpenOptions(type, variant, embeddings, textEncoder, latentDecoder);
  }

  /** The same with a text encoder. */
  public OpenOptions withTextEncoder(TextEncoder textEncoder) {
    return new OpenOptions(type, variant, embeddings, textEncoder, latentDecoder);
  }

  /** The same with a decoder. */
  public OpenOptions withLatentDecoder(LatentDecoder latentDecoder) {
    return new OpenOptions(type, variant, embeddings, textEncoder, latentDecoder);
  }
}
