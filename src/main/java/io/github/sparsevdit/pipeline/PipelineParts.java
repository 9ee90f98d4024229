package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.internal.io.OtherWeights;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.VaeSizes;
import io.github.sparsevdit.model.vae.Tiling;
import io.github.sparsevdit.model.vae.Vae;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * What a family's pipeline has around its denoiser: encoders of text and images, and a VAE. A new
 * family is one more in {@link #ALL}.
 *
 * @param transformer diffusers' class of the denoiser
 * @param vaeType what its VAE computes in unless asked otherwise; null for the denoiser's type
 */
record PipelineParts(String transformer, ElementType vaeType, Prompts prompts, Images images) {

  static final List<PipelineParts> ALL =
      List.of(
          new PipelineParts(
              "WanTransformer3DModel", ElementType.FP32, T5Prompts::wan, WanImages::of),
          new PipelineParts(
              "HunyuanVideoTransformer3DModel",
              null,
              HunyuanPrompts::new,
              (place, geometry) -> null),
          new PipelineParts(
              "CogVideoXTransformer3DModel", null, T5Prompts::cogVideoX, CogVideoXImages::of));

  /**
   * Where the parts are, and what they compute in.
   *
   * @param embeddings a folder of encoded texts; null for none
   */
  record Place(
      CheckpointFolder folder,
      Backend backend,
      ElementType type,
      ElementType vaeType,
      Tiling tiling,
      Path embeddings) {
    Vae vae() {
      return Vae.open(of("vae"), variant("vae"), backend, vaeType);
    }

    /** The shape [3, frames, height, width] that latents [channels, frames, …] become. */
    long[] video(long[] latents, Geometry geometry) {
      VaeSizes sizes = Denoisers.vaeSizes(of("vae").resolve("config.json"), geometry.className());
      return new long[] {
        3,
        (latents[1] - 1) * sizes.frames() + 1,
        latents[2] * sizes.pixels(),
        latents[3] * sizes.pixels()
      };
    }

    /** What encoding a video takes of memory. */
    long encodingBytes(long[] video) {
      return Vae.encodingMemory(of("vae"), backend.kind(), vaeType, video, tiling).total();
    }

    Path of(String component) {
      return folder.path().resolve(component);
    }

    /** Whether the pipeline has a network's weights. */
    boolean has(String component) {
      return Files.isDirectory(folder.path()) && hasWeights(of(component));
    }

    private static boolean hasWeights(Path component) {
      if (!Files.isDirectory(component)) {
        return false;
      }
      List<String> files = files(component);
      if (files.stream().anyMatch(file -> file.endsWith(".safetensors"))) {
        return true;
      }
      files.stream()
          .filter(OtherWeights::matches)
          .findFirst()
          .ifPresent(
              other -> {
                throw new IllegalArgumentException(
                    "%s holds no *.safetensors, only %s, which is not read; download the safetensors, or convert it"
                        .formatted(component, other));
              });
      return false;
    }

    private static List<String> files(Path folder) {
      try (Stream<Path> files = Files.list(folder)) {
        return files.map(file -> file.getFileName().toString()).toList();
      } catch (IOException e) {
        throw new UncheckedIOException("cannot list " + folder + ": " + e, e);
      }
    }

    /** The chosen variant of a component's weights, where it has that; null for those without. */
    String variant(String component) {
      String variant = folder.variant();
      boolean there =
          variant != null
              && files(of(component)).stream().anyMatch(file -> file.contains("." + variant + "."));
      return there ? variant : null;
    }
  }

  /** Makes the text encoder of a pipeline. */
  interface Prompts {
    /**
     * @param tokens that a text is padded or cut to; 0 for the published number
     */
    TextEncoder make(Place place, int tokens);
  }

  /** Makes the image encoder of a pipeline. */
  interface Images {
    /** Null where the denoiser takes no image. */
    ImageEncoder make(Place place, Geometry geometry);
  }

  /** Of a denoiser's class; null where nothing is known around it. */
  static PipelineParts of(String transformer) {
    return ALL.stream()
        .filter(parts -> parts.transformer.equals(transformer))
        .findFirst()
        .orElse(null);
  }
}
