package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A checkpoint's folder in diffusers' layout, with its transformer open: either a pipeline's
 * ({@code model_index.json}, {@code scheduler/}, {@code transformer/}) or a transformer's alone.
 * Text encoders and VAEs are not run: prompts come as embeddings, and latents are the result, which
 * are RGB in [−1, 1] where a pipeline has no VAE.
 */
public final class Pipeline implements AutoCloseable {
  private final Path folder;
  private final VideoTransformer transformer;
  private final boolean pixels;

  private Pipeline(Path folder, VideoTransformer transformer, boolean pixels) {
    this.folder = folder;
    this.transformer = transformer;
    this.pixels = pixels;
  }

  /** Opens the transformer; see {@link Denoisers#load}. */
  public static Pipeline open(Path folder, Backend backend, ElementType computeType) {
    return open(CheckpointFolder.of(folder), backend, computeType);
  }

  /** The same of a folder with a variant of the weights. */
  public static Pipeline open(CheckpointFolder folder, Backend backend, ElementType computeType) {
    boolean pixels = inPixels(folder.path());
    return new Pipeline(folder.path(), Denoisers.load(folder, backend, computeType), pixels);
  }

  /** Whether the folder holds a pipeline without a VAE, whose latents are the video's pixels. */
  public static boolean inPixels(Path folder) {
    Path index = folder.resolve("model_index.json");
    return Files.exists(index) && !ConfigFile.read(index).names("vae");
  }

  /** The transformer; this object closes it. */
  public VideoTransformer transformer() {
    return transformer;
  }

  /** Whether the latents are the video's pixels. */
  public boolean pixels() {
    return pixels;
  }

  /** Whether the folder says which scheduler to use. */
  public boolean hasScheduler() {
    return Files.exists(schedulerConfig());
  }

  /**
   * The scheduler of the folder's {@code scheduler/scheduler_config.json}.
   *
   * @param seed of the random term, where the scheduler has one
   */
  public Scheduler scheduler(int steps, long seed) {
    return scheduler(RunSteps.of(steps), seed);
  }

  /** The same with steps of one's own. */
  public Scheduler scheduler(RunSteps steps, long seed) {
    if (!hasScheduler()) {
      throw new IllegalArgumentException(folder + " has no scheduler/scheduler_config.json");
    }
    String family = ConfigFile.read(Denoisers.configFile(folder)).text("_class_name");
    return Schedulers.read(schedulerConfig(), family, steps, seed);
  }

  private Path schedulerConfig() {
    return folder.resolve("scheduler").resolve("scheduler_config.json");
  }

  @Override
  public void close() {
    transformer.close();
  }
}
