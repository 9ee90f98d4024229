package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.internal.io.OtherWeights;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Family;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Where things are in a checkpoint: a pipeline's folder in diffusers' layout ({@code
 * model_index.json}, {@code transformer/}, and in Wan2.2 {@code transformer_2/}), a transformer's
 * alone ({@code config.json}, in diffusers' layout or the original repository's), or one file of
 * weights, as ComfyUI has them. Also in a Hugging Face cache: the folder {@code
 * models--OWNER--NAME}, or OWNER/NAME where no such path exists. Beside a {@code model_index.json}
 * with a {@code transformer/}, a {@code config.json} says nothing of the transformer. A base adds
 * the rest of a pipeline to a transformer's folder or file. Immutable.
 */
public final class CheckpointFolder {
  private static final String FIRST = "transformer";
  private static final String SECOND = "transformer_2";
  private static final String CONFIG = "config.json";
  private static final String INDEX = "model_index.json";
  private static final String WEIGHTS = ".safetensors";

  private final Path path; // of the base where there is one
  private final String variant;
  private final boolean pipeline;
  private final Path
      own; // the transformer's folder or file beside a base, or a file alone; else null
  private final Path second; // the second network's folder or file; null where path has it
  private final List<Lora> loras;
  private final List<Lora> secondLoras;

  private CheckpointFolder(
      Path path,
      String variant,
      boolean pipeline,
      Path own,
      Path second,
      List<Lora> loras,
      List<Lora> secondLoras) {
    this.path = path;
    this.variant = variant;
    this.pipeline = pipeline;
    this.own = own;
    this.second = second;
    this.loras = List.copyOf(loras);
    this.secondLoras = List.copyOf(secondLoras);
  }

  /** A folder whose weights have no variant, or only one. */
  public static CheckpointFolder of(Path path) {
    return of(path, null);
  }

  /**
   * A folder with a transformer or a pipeline, or a file of a transformer's weights.
   *
   * @param variant of the weights, as diffusers names them ("bf16"); null for those without one,
   *     else the only one there is
   * @throws IllegalArgumentException if it is none of these
   */
  public static CheckpointFolder of(Path path, String variant) {
    Path located = HuggingFaceCache.locate(path);
    if (Files.isRegularFile(located) && isWeights(located)) {
      return new CheckpointFolder(located, variant, false, located, null, List.of(), List.of());
    }
    boolean own = Files.exists(located.resolve(CONFIG));
    boolean inner = Files.exists(located.resolve(FIRST).resolve(CONFIG));
    if (!own && !inner) {
      throw new IllegalArgumentException(refusal(path, located));
    }
    boolean pipeline = inner && (!own || Files.exists(located.resolve(INDEX)));
    return new CheckpointFolder(located, variant, pipeline, null, null, List.of(), List.of());
  }

  private static boolean isWeights(Path file) {
    return file.getFileName().toString().endsWith(WEIGHTS);
  }

  private static String refusal(Path path, Path located) {
    String name = path.getFileName() == null ? "" : path.getFileName().toString();
    if (Files.isRegularFile(located) && OtherWeights.matches(name)) {
      return "%s is %s; convert it to safetensors, or download the model's folder in diffusers' layout"
          .formatted(
              path,
              name.endsWith(".gguf")
                  ? "a GGUF file, whose quantised blocks are not read"
                  : "a pickled file, which can run code when it is read and so is not");
    }
    Path cached = HuggingFaceCache.wouldBe(path);
    if (!Files.exists(located) && cached != null) {
      return "%s is no checkpoint: there is no such folder, and no %s in the Hugging Face cache; download it with: hf download %s"
          .formatted(path, cached, path);
    }
    return path
        + " is no checkpoint: it has neither config.json nor transformer/config.json"
        + (Files.exists(located.resolve(INDEX))
            ? ", though there is a model_index.json: download the transformer too"
            : "");
  }

  /**
   * The same transformer with all that it lacks from a folder of the same model: scheduler, text
   * encoder, VAE, {@code model_index.json}, {@code generation_config.json}; for a file of weights
   * the configuration too.
   *
   * @throws IllegalArgumentException if this is a pipeline's folder itself
   */
  public CheckpointFolder withBase(Path folder) {
    if (pipeline) {
      throw new IllegalArgumentException(
          "%s is a pipeline's folder, which has all that a base (%s) would add; a base is for a transformer's folder or file"
              .formatted(path, folder));
    }
    CheckpointFolder base = of(folder, null);
    if (base.own != null) {
      throw new IllegalArgumentException(folder + " is no folder; a base has a config.json");
    }
    return new CheckpointFolder(
        base.path, variant, base.pipeline, transformer(), second, loras, secondLoras);
  }

  /**
   * The same pipeline with another second network (Wan2.2): a file of weights, whose configuration
   * is the pipeline's, or a transformer's folder.
   *
   * @throws IllegalArgumentException if the pipeline has no {@code boundary_ratio}, from which a
   *     second network takes over, or that is a whole pipeline, or the first network
   */
  public CheckpointFolder withSecond(Path weights) {
    CheckpointFolder other = of(weights, variant);
    if (other.pipeline) {
      throw new IllegalArgumentException(
          "%s is a pipeline's folder; name one network of it, such as its %s"
              .formatted(weights, SECOND));
    }
    if (Denoisers.boundary(this) == 0) {
      throw new IllegalArgumentException(
          "%s is for a second network, and %s has one network: there is no boundary_ratio in a %s; name a base that has it"
              .formatted(weights, path, INDEX));
    }
    if (other.path.equals(transformer())) {
      throw new IllegalArgumentException(weights + " is the first network, and the second one too");
    }
    return new CheckpointFolder(path, variant, true, own, other.path, loras, secondLoras);
  }

  /** Whether LoRA files are merged into the weights. */
  public boolean hasLoras() {
    return !loras.isEmpty() || !secondLoras.isEmpty();
  }

  /**
   * The same with LoRA files merged into the weights.
   *
   * @param second into those of a second network (Wan2.2)
   * @throws IllegalArgumentException if there is no second network for them
   */
  public CheckpointFolder withLoras(List<Lora> first, List<Lora> second) {
    if (!second.isEmpty() && transformers().size() == 1) {
      throw new IllegalArgumentException(
          "%s is for a second network, and %s has one network"
              .formatted(second.getFirst().file(), path));
    }
    return new CheckpointFolder(path, variant, pipeline, own, this.second, first, second);
  }

  /** Whether a path is a transformer or a pipeline. */
  public static boolean isOne(Path path) {
    Path located = HuggingFaceCache.locate(path);
    return Files.exists(located.resolve(CONFIG))
        || Files.exists(located.resolve(FIRST).resolve(CONFIG))
        || Files.isRegularFile(located) && isWeights(located);
  }

  /** The folder itself: the base where there is one; of a file alone the file. */
  public Path path() {
    return path;
  }

  /** The weights' variant; null where none is chosen. */
  public String variant() {
    return variant;
  }

  /** Where the transformer's weights are, a folder or a file: the first one's of two. */
  public Path transformer() {
    return own != null ? own : home();
  }

  /** The first transformer's folder in path, or path itself. */
  private Path home() {
    return pipeline ? path.resolve(FIRST) : path;
  }

  /** The transformer's config.json, in diffusers' words. */
  public String transformerJson() {
    return transformerConfig(transformer()).json();
  }

  /** The same of one of {@link #transformers}. */
  ConfigFile transformerConfig(Path transformer) {
    boolean ofFile = !Files.isDirectory(transformer);
    if (ofFile && path.equals(transformer)) {
      return OtherLayout.config(transformer, variant, null); // a file alone
    }
    Path home = ofFile ? configured(transformer) : transformer;
    ConfigFile config = ConfigFile.read(home.resolve(CONFIG));
    boolean other =
        config.has("_class_name") && Families.ofOtherClass(config.text("_class_name")) != null;
    return other ? OtherLayout.config(home, variant, config) : config;
  }

  /** The folder with the configuration of a file of weights. */
  private Path configured(Path file) {
    Path ofSecond = path.resolve(SECOND);
    boolean isSecond = file.equals(second) && Files.exists(ofSecond.resolve(CONFIG));
    return isSecond ? ofSecond : home();
  }

  /**
   * Opens a transformer's weights under diffusers' names, with LoRA files merged. The caller closes
   * them.
   *
   * @param transformer one of {@link #transformers}
   * @param type what is computed in: E4M3 weights are expanded to it
   */
  public TensorSource weights(Path transformer, ElementType type) {
    Family family = Families.of(transformerConfig(transformer));
    Safetensors stored = Safetensors.open(transformer, variant);
    TensorSource renamed;
    try {
      renamed = OtherLayout.renamed(Fp8Tensors.over(stored, type));
    } catch (RuntimeException | Error failure) {
      stored.close();
      throw failure;
    }
    boolean first = transformer.equals(transformer());
    return MergedTensors.over(renamed, first ? loras : secondLoras, family, type);
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

  /** The second network's folder or file, which need not be there. */
  Path second() {
    return second != null ? second : path.resolve(SECOND);
  }

  /** Where the weights of all networks are that are there, each a folder or a file. */
  public List<Path> transformers() {
    List<Path> all = new ArrayList<>(List.of(transformer()));
    if (second != null || pipeline && Files.exists(second().resolve(CONFIG))) {
      all.add(second());
    }
    return all;
  }

  /**
   * What to call the model of a folder: the folder's name; of a network in a pipeline the
   * pipeline's; in a Hugging Face cache ({@code models--OWNER--NAME/snapshots/COMMIT}) NAME; of a
   * file of weights its own, without the ending.
   */
  public static String name(Path path) {
    if (isWeights(path.toAbsolutePath())) {
      String file = last(path);
      return file.substring(0, file.length() - WEIGHTS.length());
    }
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
