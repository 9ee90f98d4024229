package io.github.sparsevdit.cli.report;

import io.github.sparsevdit.internal.media.Clip;
import io.github.sparsevdit.internal.media.Gif;
import io.github.sparsevdit.internal.media.Mp4;
import io.github.sparsevdit.pipeline.Generated;
import io.github.sparsevdit.pipeline.Video;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Files of what was generated: GIF and MP4 of pixels, safetensors of latents. */
public final class Clips {
  private static final int SMALLEST_SIDE = 240;
  private static final int GAP = 8;

  private Clips() {}

  /** The video that was generated. */
  public static Clip of(Generated generated) {
    Video video = generated.video();
    return new Clip(video.width(), video.height(), generated.framesPerSecond(), video.rgb());
  }

  /** Small clips enlarged by a whole factor, so that a person can look at them. */
  static Clip visible(Clip clip) {
    return clip.enlarged(Math.ceilDiv(SMALLEST_SIDE, Math.min(clip.width(), clip.height())));
  }

  /** Clips side by side. */
  public static Clip beside(List<Clip> clips) {
    return Clip.beside(clips, GAP);
  }

  /** Writes {@code <stem>.gif} and {@code <stem>.mp4}. */
  public static List<Path> write(Path stem, Clip clip) throws IOException {
    Path gif = stem.resolveSibling(stem.getFileName() + ".gif");
    Path mp4 = stem.resolveSibling(stem.getFileName() + ".mp4");
    Gif.write(gif, visible(clip));
    Mp4.write(mp4, visible(clip));
    return List.of(gif, mp4);
  }

  /** Writes {@code <stem>.safetensors} with a tensor {@code latents}. */
  public static List<Path> writeLatents(Path stem, Generated generated) {
    return List.of(generated.save(stem.resolveSibling(stem.getFileName() + ".safetensors")));
  }
}
