package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.model.vae.Vae;
import io.github.sparsevdit.model.vae.VaeListener;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;

/** A pipeline's own VAE: opened to decode a run's latents, and closed after. */
final class VaeDecoder implements LatentDecoder {
  private final PipelineParts.Place place;
  private final boolean framesFirst;

  VaeDecoder(PipelineParts.Place place, boolean framesFirst) {
    this.place = place;
    this.framesFirst = framesFirst;
  }

  @Override
  public Video decode(Tensor latents) {
    return decode(latents, DenoisingProgress.NONE);
  }

  @Override
  public Video decode(Tensor latents, DenoisingProgress progress) {
    try (Arena arena = Arena.ofShared();
        Vae vae = place.vae()) {
      Tensor ordered = copy(framesFirst ? latents.transpose(0, 1) : latents, arena);
      vae.denormalise(ordered);
      VaeListener listener = Stages.listener(progress, DenoisingProgress.Stage.DECODING);
      try (Tensor video = vae.decode(ordered, place.tiling(), listener)) {
        return Video.ofDecoded(video);
      }
    }
  }

  private static Tensor copy(Tensor tensor, Arena arena) {
    return Tensor.ofFloats(arena, tensor.toFloats(), tensor.shape());
  }

  @Override
  public long memoryBytes(long[] latents) {
    long[] channelsFirst = latents.clone();
    if (framesFirst) {
      channelsFirst[0] = latents[1];
      channelsFirst[1] = latents[0];
    }
    return Vae.decodingMemory(
            place.of("vae"), place.backend().kind(), place.vaeType(), channelsFirst, place.tiling())
        .total();
  }

  @Override
  public void close() {}
}
