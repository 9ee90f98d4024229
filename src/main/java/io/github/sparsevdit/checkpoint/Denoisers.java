package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.VaeSizes;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.BaseTransformer;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Family;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Opens denoisers from checkpoints, and reads what a checkpoint says of its denoiser. */
public final class Denoisers {
  private static final int TRAIN_TIMESTEPS = 1000;

  private Denoisers() {}

  /**
   * Opens a checkpoint in diffusers' layout: a transformer's folder (config.json,
   * diffusion_pytorch_model*), or a pipeline's, which has one in {@code transformer/}. A pipeline
   * with a {@code boundary_ratio} (Wan2.2) has a second one in {@code transformer_2/}, which takes
   * the timesteps below {@link VideoTransformer#boundary}. Weights are mapped from disk and, where
   * their element type is the one computed in, used in place.
   *
   * @param computeType BF16 or FP32
   * @throws IllegalArgumentException if the model's class is unknown, or a weight is missing,
   *     unexpected or of a wrong shape; the message names it
   */
  public static VideoTransformer load(Path folder, Backend backend, ElementType computeType) {
    return load(CheckpointFolder.of(folder), backend, computeType);
  }

  /** The same of a folder with a variant of the weights. */
  public static VideoTransformer load(CheckpointFolder folder, Backend backend, ElementType type) {
    requireComputable(type);
    Path home = folder.transformer();
    Path index = folder.index();
    if (index == null) {
      return network(folder, home, backend, type);
    }
    ConfigFile pipeline = ConfigFile.read(index);
    pipeline.listsAreKnown();
    pipeline.has("boundary_ratio");
    boolean expands = pipeline.flag("expand_timesteps", false);
    pipeline.requireAllKnown("model_index.json");
    VideoTransformer transformer = networks(folder, index, pipeline, backend, type);
    try {
      List<BaseTransformer<?>> networks =
          transformer instanceof TwoNetworks two
              ? two.networks()
              : List.of((BaseTransformer<?>) transformer);
      for (BaseTransformer<?> network : networks) {
        network.expandTimesteps(expands, index.toString());
      }
      return transformer;
    } catch (RuntimeException | Error failure) {
      transformer.close();
      throw failure;
    }
  }

  /** The {@link VideoTransformer#boundary} of a checkpoint, without opening it. */
  public static double boundary(CheckpointFolder folder) {
    Path index = folder.index();
    ConfigFile pipeline = index == null ? null : ConfigFile.read(index);
    boolean two = pipeline != null && pipeline.has("boundary_ratio");
    return two ? boundaryRatio(pipeline) * TRAIN_TIMESTEPS : 0;
  }

  private static double boundaryRatio(ConfigFile pipeline) {
    double ratio = pipeline.number("boundary_ratio");
    if (!(ratio > 0 && ratio < 1)) {
      throw pipeline.wrong("boundary_ratio", "a number between 0 and 1");
    }
    return ratio;
  }

  private static VideoTransformer networks(
      CheckpointFolder folder, Path index, ConfigFile pipeline, Backend backend, ElementType type) {
    Path home = folder.transformer();
    if (!pipeline.has("boundary_ratio")) {
      return network(folder, home, backend, type);
    }
    double ratio = boundaryRatio(pipeline);
    Path second = folder.second();
    if (folder.transformers().size() == 1) {
      throw new IllegalArgumentException(
          index
              + ": boundary_ratio is "
              + ratio
              + ", so there must be a second network, but "
              + second.resolve("config.json")
              + " is missing, and no other second network is named");
    }
    BaseTransformer<?> high = network(folder, home, backend, type);
    try {
      BaseTransformer<?> low = network(folder, second, backend, type);
      try {
        return new TwoNetworks(high.name, high, low, ratio * TRAIN_TIMESTEPS);
      } catch (RuntimeException | Error failure) {
        low.close();
        throw failure;
      }
    } catch (RuntimeException | Error failure) {
      high.close();
      throw failure;
    }
  }

  /**
   * The sizes of a checkpoint's denoiser.
   *
   * @param path what {@link CheckpointFolder#of(Path)} takes, or a config.json
   */
  public static Geometry geometry(Path path) {
    boolean json = Files.isRegularFile(path) && path.toString().endsWith(".json");
    return json ? geometry(ConfigFile.read(path)) : geometry(CheckpointFolder.of(path));
  }

  /** The same of an open checkpoint. */
  public static Geometry geometry(CheckpointFolder folder) {
    return geometry(folder.transformerConfig(folder.transformer()));
  }

  /** The same of a config.json's text; where it came from is for messages. */
  public static Geometry geometry(String json, String where) {
    return geometry(ConfigFile.parse(json, where));
  }

  private static Geometry geometry(ConfigFile config) {
    return Families.of(config).geometry().apply(config);
  }

  /**
   * Reads a VAE's config.json. Every entry of it is followed, listed among those that change
   * nothing ({@code settings.json}) or refused by file, name and value; an absent one means
   * diffusers' default.
   *
   * @param transformer the denoiser's class, for a configuration that names none of its own
   */
  public static VaeSizes vaeSizes(Path file, String transformer) {
    ConfigFile config = ConfigFile.read(file);
    String className = config.text("_class_name", Families.of(transformer).vae());
    VaeSizes sizes =
        Families.ALL.stream()
            .filter(family -> family.vae().equals(className))
            .findFirst()
            .orElseThrow(() -> config.wrong("_class_name", "one of " + Families.names(Family::vae)))
            .vaeSizes()
            .apply(config);
    config.requireAllKnown(className);
    return sizes;
  }

  /** Refuses what a denoiser does not compute in. */
  public static void requireComputable(ElementType type) {
    if (type != ElementType.BF16 && type != ElementType.FP32) {
      throw new IllegalArgumentException(
          "denoisers compute in BF16 or FP32, not in "
              + type
              + (type == ElementType.E4M3 ? ", which their self-attention alone may" : ""));
    }
  }

  /** Opens one transformer of a checkpoint. */
  private static BaseTransformer<?> network(
      CheckpointFolder folder, Path home, Backend backend, ElementType type) {
    ConfigFile config = folder.transformerConfig(home);
    Family family = Families.of(config);
    Weights weights =
        new Weights(folder.weights(home, type), backend, type, family, home.toString());
    return network(CheckpointFolder.name(home), config, weights, backend);
  }

  /** Makes a transformer; it closes the weights, as this does if it fails. */
  static BaseTransformer<?> network(
      String name, ConfigFile config, Weights weights, Backend backend) {
    try {
      BaseTransformer<?> transformer =
          Families.of(config).maker().make(name, config, weights, backend);
      transformer.configuredBy(config);
      weights.requireAllUsed();
      return transformer;
    } catch (RuntimeException | Error failure) {
      weights.close();
      throw failure;
    }
  }
}
