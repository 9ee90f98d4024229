package io.github.sparsevdit.cli.report;

import io.github.sparsevdit.internal.media.Clip;
import io.github.sparsevdit.internal.media.Gif;
import io.github.sparsevdit.internal.media.Mp4;
import io.github.sparsevdit.internal.media.Pictures;
import io.github.sparsevdit.pipeline.Generated;
import io.github.sparsevdit.pipeline.Video;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

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

  /** Writes the file, as its ending says, or {@code <stem>.gif} and {@code <stem>.mp4}. */
  public static List<Path> write(Path stem, Clip clip) throws IOException {
    String name = stem.getFileName().toString();
    String ending = name.toLowerCase(Locale.ROOT);
    if (ending.endsWith(".gif")) {
      Gif.write(stem, visible(clip));
      return List.of(stem);
    }
    if (ending.endsWith(".mp4")) {
      Mp4.write(stem, visible(clip));
      return List.of(stem);
    }
    Path gif = stem.resolveSibling(name + ".gif");
    Path mp4 = stem.resolveSibling(name + ".mp4");
    Gif.write(gif, visible(clip));
    Mp4.write(mp4, visible(clip));
    return List.of(gif, mp4);
  }

  /** Writes every frame as it is to {@code <folder>/<name>-<number>.png}. */
  public static List<Path> writeFrames(Path folder, String name, Clip clip) throws IOException {
    Files.createDirectories(folder);
    String plain = name.replaceFirst("\\.(mp4|gif|MP4|GIF)$", "");
    List<Path> files = new ArrayList<>();
    for (int i = 0; i < clip.frames().size(); i++) {
      Path file = folder.resolve(String.format(Locale.ROOT, "%s-%04d.png", plain, i));
      Pictures.writePng(file, clip.image(i));
      files.add(file);
    }
    return files;
  }

  /** Writes {@code <stem>.safetensors} with a tensor {@code latents}. */
  public static List<Path> writeLatents(Path stem, Generated generated) {
    return List.of(generated.save(stem.resolveSibling(stem.getFileName() + ".safetensors")));
  }
}
