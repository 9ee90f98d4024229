package io.github.sparsevdit.cli;

import io.github.sparsevdit.internal.media.Clip;
import io.github.sparsevdit.internal.media.Gif;
import io.github.sparsevdit.internal.media.Mp4;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Files of what was generated: GIF and MP4 of pixels, safetensors of latents. */
final class Clips {
  private static final int SMALLEST_SIDE = 240;
  private static final int GAP = 8;

  private Clips() {}

  /** The pixels a checkpoint gave. */
  static Clip of(Checkpoint checkpoint, float[] latents) {
    long[] shape = checkpoint.latentShape();
    return Clip.ofRgb(
        latents, (int) shape[1], (int) shape[2], (int) shape[3], checkpoint.framesPerSecond());
  }

  /** Small clips enlarged by a whole factor, so that a person can look at them. */
  static Clip visible(Clip clip) {
    return clip.enlarged(Math.ceilDiv(SMALLEST_SIDE, Math.min(clip.width(), clip.height())));
  }

  /** Clips side by side. */
  static Clip beside(List<Clip> clips) {
    return Clip.beside(clips, GAP);
  }

  /** Writes {@code <stem>.gif} and {@code <stem>.mp4}. */
  static List<Path> write(Path stem, Clip clip) throws IOException {
    Path gif = stem.resolveSibling(stem.getFileName() + ".gif");
    Path mp4 = stem.resolveSibling(stem.getFileName() + ".mp4");
    Gif.write(gif, visible(clip));
    Mp4.write(mp4, visible(clip));
    return List.of(gif, mp4);
  }

  /** Writes {@code <stem>.safetensors} with a tensor {@code latents}. */
  static List<Path> writeLatents(Path stem, Checkpoint checkpoint, float[] latents)
      throws IOException {
    Path file = stem.resolveSibling(stem.getFileName() + ".safetensors");
    Files.createDirectories(file.toAbsolutePath().getParent());
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor =
          Tensor.of(
              arena.allocate((long) latents.length * Float.BYTES, 64),
              ElementType.FP32,
              checkpoint.latentShape());
      Safetensors.write(file, Map.of("latents", tensor.copyFrom(latents)), Map.of());
    }
    return List.of(file);
  }
}
