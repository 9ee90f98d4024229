package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.media.Clip;
import io.github.sparsevdit.internal.media.Gif;
import io.github.sparsevdit.internal.media.Mp4;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/**
 * What a run gave.
 *
 * @param latents of {@code latentShape}, row-major
 * @param latentShape [channels, frames, height, width]; CogVideoX: frames first
 * @param video the latents decoded; null where nothing decodes them
 * @param framesPerSecond how fast the video plays
 * @param seconds the run took; of a resumed run, since it was resumed
 * @param attentionSeconds of these that self-attention took; NaN where it was not timed
 * @param density of self-attention, over all steps, layers and heads
 */
public record Generated(
    float[] latents,
    long[] latentShape,
    Video video,
    int framesPerSecond,
    double seconds,
    double attentionSeconds,
    double density) {
  /**
   * Writes the video as {@code .mp4} or {@code .gif}, or the latents as {@code .safetensors} (a
   * tensor {@code latents}). The file is written whole or not at all; folders are made. GIF needs
   * the module java.desktop, and MP4 JCodec too, which this library asks for only here.
   *
   * @return the path
   * @throws IllegalArgumentException for another ending, or where there is no video
   * @throws UncheckedIOException if writing fails
   */
  public Path save(Path path) {
    String name = path.getFileName().toString().toLowerCase(Locale.ROOT);
    try {
      Path folder = path.toAbsolutePath().getParent();
      Files.createDirectories(folder);
      if (name.endsWith(".safetensors")) {
        saveLatents(path);
      } else if (name.endsWith(".gif")) {
        Gif.write(path, clip(path));
      } else if (name.endsWith(".mp4")) {
        Mp4.write(path, clip(path));
      } else {
        throw new IllegalArgumentException(
            path + ": the name must end in .mp4, .gif or .safetensors");
      }
      return path;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + path + ": " + e, e);
    } catch (NoClassDefFoundError e) {
      throw new IllegalArgumentException(
          path + ": writing it needs org.jcodec:jcodec on the class path; .safetensors does not",
          e);
    }
  }

  private Clip clip(Path path) {
    if (video == null) {
      throw new IllegalArgumentException(
          path
              + ": nothing decodes this checkpoint's latents into a video; save them as"
              + " .safetensors");
    }
    return new Clip(video.width(), video.height(), framesPerSecond, video.rgb());
  }

  private void saveLatents(Path path) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = Tensor.ofFloats(arena, latents, latentShape);
      Safetensors.write(path, Map.of("latents", tensor), Map.of());
    }
  }
}
