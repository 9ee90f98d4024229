package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.model.parts.ConfigFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Where things are in a checkpoint's folder in diffusers' layout: a pipeline's ({@code
 * model_index.json}, {@code transformer/}, and in Wan2.2 {@code transformer_2/}) or a transformer's
 * alone ({@code config.json}). Beside a {@code model_index.json} with a {@code transformer/}, a
 * {@code config.json} says nothing of the transformer. Immutable.
 */
public final class CheckpointFolder {
  private static final String FIRST = "transformer";
  private static final String SECOND = "transformer_2";
  private static final String CONFIG = "config.json";
  private static final String INDEX = "model_index.json";

  private final Path path;
  private final String variant;
  private final boolean pipeline;

  private CheckpointFolder(Path path, String variant, boolean pipeline) {
    this.path = path;
    this.variant = variant;
    this.pipeline = pipeline;
  }

  /** A folder whose weights have no variant, or only one. */
  public static CheckpointFolder of(Path path) {
    return of(path, null);
  }

  /**
   * A folder with a transformer or a pipeline.
   *
   * @param variant of the weights, as diffusers names them ("bf16"); null for those without one,
   *     else the only one there is
   * @throws IllegalArgumentException if it has neither
   */
  public static CheckpointFolder of(Path path, String variant) {
    boolean own = Files.exists(path.resolve(CONFIG));
    boolean inner = Files.exists(path.resolve(FIRST).resolve(CONFIG));
    if (!own && !inner) {
      throw new IllegalArgumentException(
          path
              + " is no checkpoint: it has neither config.json nor transformer/config.json"
              + (Files.exists(path.resolve(INDEX))
                  ? ", though there is a model_index.json: download the transformer too"
                  : ""));
    }
    return new CheckpointFolder(
        path, variant, inner && (!own || Files.exists(path.resolve(INDEX))));
  }

  /** Whether a folder has a transformer or a pipeline. */
  public static boolean isOne(Path path) {
    return Files.exists(path.resolve(CONFIG)) || Files.exists(path.resolve(FIRST).resolve(CONFIG));
  }

  /** The folder itself. */
  public Path path() {
    return path;
  }

  /** The weights' variant; null where none is chosen. */
  public String variant() {
    return variant;
  }

  /** The transformer's folder: the first one's where there are two. */
  public Path transformer() {
    return pipeline ? path.resolve(FIRST) : path;
  }

  /** The transformer's config.json. */
  public Path config() {
    return transformer().resolve(CONFIG);
  }

  /** The scheduler's configuration; null where the folder does not say which one to use. */
  public Path schedulerConfig() {
    Path config = path.resolve("scheduler").resolve("scheduler_config.json");
    return Files.exists(config) ? config : null;
  }

  /** Whether the folder is a pipeline without a VAE, whose latents are the video's pixels. */
  public boolean inPixels() {
    Path index = path.resolve(INDEX);
    return Files.exists(index) && !ConfigFile.read(index).names("vae");
  }

  /** The pipeline's model_index.json; null for a transformer alone, or where there is none. */
  Path index() {
    Path index = path.resolve(INDEX);
    return pipeline && Files.exists(index) ? index : null;
  }

  /** The second network's folder, which need not be there. */
  Path second() {
    return path.resolve(SECOND);
  }

  /** The folders of all networks that are there. */
  public List<Path> transformers() {
    List<Path> all = new ArrayList<>(List.of(transformer()));
    if (pipeline && Files.exists(second().resolve(CONFIG))) {
      all.add(second());
    }
    return all;
  }

  /**
   * What to call the model of a folder: the folder's name; of a network in a pipeline the
   * pipeline's; in a Hugging Face cache ({@code models--OWNER--NAME/snapshots/COMMIT}) NAME.
   */
  public static String name(Path path) {
    Path folder = path.toAbsolutePath().normalize();
    String name = last(folder);
    if ((name.equals(FIRST) || name.equals(SECOND)) && folder.getParent() != null) {
      folder = folder.getParent();
      name = last(folder);
    }
    Path snapshots = folder.getParent();
    Path repository = snapshots == null ? null : snapshots.getParent();
    boolean cached =
        repository != null
            && last(snapshots).equals("snapshots")
            && last(repository).startsWith("models--");
    return cached ? last(repository).replaceFirst("^models--(.+?--)?", "") : name;
  }

  private static String last(Path folder) {
    return folder.getFileName() == null ? "" : folder.getFileName().toString();
  }
}
