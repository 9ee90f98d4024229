package io.github.sparsevdit.model.text;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * CLIP's image encoder (Wan2.1 image-to-video): what leaves the last layer but one, the class token
 * first, without the last norm. Source: transformers' CLIPVisionModel. For one thread at a time.
 */
public final class ClipVisionEncoder implements AutoCloseable {
  private static final String CLASS = "embeddings.class_embedding";
  private static final String PATCHES = "embeddings.patch_embedding.weight";
  private static final String POSITIONS = "embeddings.position_embedding.weight";
  private static final String BEFORE = "pre_layrnorm"; // as it is spelt in every checkpoint
  private static final String AFTER = "post_layernorm";

  private final Config config;
  private final LayerWeights weights;
  private final Backend backend;
  private final ElementType type;
  private final String where;

  private record Config(ClipLayers layers, int channels, int size, int patch) {
    static Config of(ConfigFile file) {
      file.oneOf("model_type", "clip_vision_model", "clip_vision_model");
      Config config =
          new Config(
              ClipLayers.of(file, 768, 3072, 12, 12),
              file.count("num_channels", 3, 1),
              file.count("image_size", 224, 1),
              file.count("patch_size", 32, 1));
      file.requireAllKnown("CLIPVisionModel");
      return config;
    }

    /** Patches of a side. */
    int side() {
      return size / patch;
    }

    int rows() {
      return side() * side() + 1;
    }
  }

  private ClipVisionEncoder(
      Config config, LayerWeights weights, Backend backend, ElementType type, String where) {
    this.config = config;
    this.weights = weights;
    this.backend = backend;
    this.type = type;
    this.where = where;
  }

  /** Opens an encoder's folder; see {@link T5Encoder#open}. */
  public static ClipVisionEncoder open(
      Path folder, String variant, Backend backend, ElementType type) {
    Config config = config(folder);
    LayerWeights weights =
        new LayerWeights(folder, variant, backend, type, CLASS, "", "vision_model.");
    try {
      weights.require(
          shapes(config),
          name ->
              name.endsWith("position_ids")
                  || name.endsWith(AFTER + ".weight")
                  || name.endsWith(AFTER + ".bias")
                  || name.equals("visual_projection.weight"));
      return new ClipVisionEncoder(config, weights, backend, type, folder.toString());
    } catch (RuntimeException | Error failure) {
      weights.close();
      throw failure;
    }
  }

  private static Config config(Path folder) {
    return Config.of(ConfigFile.read(folder.resolve("config.json")));
  }

  private static Map<String, long[]> shapes(Config config) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    long width = config.layers.width();
    shapes.put(CLASS, new long[] {width});
    shapes.put(PATCHES, new long[] {width, config.channels, config.patch, config.patch});
    shapes.put(POSITIONS, new long[] {config.rows(), width});
    ClipLayers.putNorm(shapes, BEFORE, width);
    config.layers.putShapes(shapes);
    return shapes;
  }

  /** What encoding an image takes of memory. */
  public static EncoderMemory memory(Path folder, String variant, ElementType type) {
    Config config = config(folder);
    long patches = (long) config.channels * config.size * config.size;
    return EncoderMemory.of(
        folder,
        variant,
        type,
        config.layers.activationBytes(type, config.rows())
            + patches * (Float.BYTES + type.bytes()));
  }

  /**
   * Encodes an image.
   *
   * @param pixels [channels, size, size], as CLIP's preprocessing gives them
   * @return FP32 [patches + 1, width], host memory
   */
  public Tensor encode(float[] pixels) {
    int expected = config.channels * config.size * config.size;
    if (pixels.length != expected) {
      throw new IllegalArgumentException(
          "%s: an image of %d numbers; it takes %d x %d x %d: image_processor is another model's"
              .formatted(where, pixels.length, config.channels, config.size, config.size));
    }
    int width = config.layers.width();
    try (EncoderBuffers buffers = new EncoderBuffers(backend, type)) {
      int features = config.channels * config.patch * config.patch;
      Tensor patches = buffers.filled(type, patches(pixels), config.rows() - 1, features);
      float[] positions = weights.stored(POSITIONS).toFloats();
      float[] first = weights.stored(CLASS).toFloats();
      for (int i = 0; i < width; i++) {
        positions[i] += first[i];
      }
      Tensor sum = buffers.filled(ElementType.FP32, positions, config.rows(), width);
      Tensor embedded = buffers.of(ElementType.FP32, config.rows() - 1, width);
      weights.use(
          "",
          w -> {
            Tensor kernel =
                w.table(PATCHES, width, config.channels, config.patch, config.patch)
                    .view(width, patches.size(1));
            buffers.ops.linear(patches, kernel, null, Activation.NONE, embedded);
            buffers.ops.residual(embedded, null, sum.slice(0, 1, config.rows()));
            config.layers.norm(buffers.ops, w, BEFORE, sum, sum);
          });
      config.layers.run(buffers, weights, sum, config.layers.layers() - 1, false);
      return buffers.result(sum);
    }
  }

  /** A row for each patch: its channels, rows and columns. */
  private float[] patches(float[] pixels) {
    int patch = config.patch;
    int size = config.size;
    float[] rows = new float[(config.rows() - 1) * config.channels * patch * patch];
    int at = 0;
    for (int top = 0; top < config.side() * patch; top += patch) {
      for (int left = 0; left < config.side() * patch; left += patch) {
        for (int channel = 0; channel < config.channels; channel++) {
          for (int row = 0; row < patch; row++) {
            int from = (channel * size + top + row) * size + left;
            System.arraycopy(pixels, from, rows, at, patch);
            at += patch;
          }
        }
      }
    }
    return rows;
  }

  @Override
  public void close() {
    weights.close();
  }
}
