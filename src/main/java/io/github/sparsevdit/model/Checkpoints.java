package io.github.sparsevdit.model;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Where things lie in a checkpoint's folder, and opening them. */
final class Checkpoints {
  private static final int TRAIN_TIMESTEPS = 1000;

  private Checkpoints() {}

  /** See {@link VideoTransformer#load}. */
  static VideoTransformer open(CheckpointFolder folder, Backend backend, ElementType type) {
    requireComputable(type);
    Path home = folder.transformer();
    Path index = folder.index();
    if (index == null) {
      return network(home, folder.variant(), backend, type);
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

  private static VideoTransformer networks(
      CheckpointFolder folder, Path index, ConfigFile pipeline, Backend backend, ElementType type) {
    Path home = folder.transformer();
    if (!pipeline.has("boundary_ratio")) {
      return network(home, folder.variant(), backend, type);
    }
    double ratio = pipeline.number("boundary_ratio");
    if (!(ratio > 0 && ratio < 1)) {
      throw new IllegalArgumentException(
          index + ": boundary_ratio is " + ratio + "; expected a number between 0 and 1");
    }
    Path second = folder.second();
    if (!Files.exists(second.resolve("config.json"))) {
      throw new IllegalArgumentException(
          index
              + ": boundary_ratio is "
              + ratio
              + ", so there must be a second network, but "
              + second.resolve("config.json")
              + " is missing");
    }
    BaseTransformer<?> high = network(home, folder.variant(), backend, type);
    try {
      BaseTransformer<?> low = network(second, folder.variant(), backend, type);
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

  /** Refuses what a denoiser does not compute in. */
  static void requireComputable(ElementType type) {
    if (type != ElementType.BF16 && type != ElementType.FP32) {
      throw new IllegalArgumentException(
          "denoisers compute in BF16 or FP32, not in "
              + type
              + (type == ElementType.E4M3 ? ", which their self-attention alone may" : ""));
    }
  }

  /** Opens one transformer's folder. */
  private static BaseTransformer<?> network(
      Path home, String variant, Backend backend, ElementType type) {
    ConfigFile config = ConfigFile.read(home.resolve("config.json"));
    Family family = Families.of(config);
    Weights weights =
        new Weights(Safetensors.open(home, variant), backend, type, family, home.toString());
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
