package io.github.sparsevdit.model.text;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * CLIP's text encoder (HunyuanVideo): the row of the end token, after the last norm. Where the
 * configuration says 2 for the end token, as older ones do whatever the vocabulary, that is the
 * largest token. Source: transformers' CLIPTextModel. For one thread at a time.
 */
public final class ClipTextEncoder implements AutoCloseable {
  private static final String TOKENS = "embeddings.token_embedding.weight";
  private static final String POSITIONS = "embeddings.position_embedding.weight";
  private static final String NORM = "final_layer_norm";
  private static final int OLD_END = 2;

  private final Config config;
  private final LayerWeights weights;
  private final Backend backend;
  private final ElementType type;
  private final String where;

  private record Config(ClipLayers layers, int vocabulary, int positions, int end) {
    static Config of(ConfigFile file) {
      file.oneOf("model_type", "clip_text_model", "clip_text_model");
      Config config =
          new Config(
              ClipLayers.of(file, 512, 2048, 8, 12),
              file.count("vocab_size", 49408, 1),
              file.count("max_position_embeddings", 77, 1),
              file.count("eos_token_id", 49407, 0));
      file.requireAllKnown("CLIPTextModel");
      return config;
    }
  }

  private ClipTextEncoder(
      Config config, LayerWeights weights, Backend backend, ElementType type, String where) {
    this.config = config;
    this.weights = weights;
    this.backend = backend;
    this.type = type;
    this.where = where;
  }

  /** Opens an encoder's folder; see {@link T5Encoder#open}. */
  public static ClipTextEncoder open(
      Path folder, String variant, Backend backend, ElementType type) {
    Config config = config(folder);
    LayerWeights weights =
        new LayerWeights(folder, variant, backend, type, TOKENS, "", "text_model.");
    try {
      weights.require(
          shapes(config),
          name -> name.endsWith("position_ids") || name.equals("text_projection.weight"));
      return new ClipTextEncoder(config, weights, backend, type, folder.toString());
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
    shapes.put(TOKENS, new long[] {config.vocabulary, width});
    shapes.put(POSITIONS, new long[] {config.positions, width});
    config.layers.putShapes(shapes);
    ClipLayers.putNorm(shapes, NORM, width);
    return shapes;
  }

  /** What encoding so many tokens takes of memory. */
  public static EncoderMemory memory(Path folder, String variant, ElementType type, int tokens) {
    return EncoderMemory.of(
        folder, variant, type, config(folder).layers.activationBytes(type, tokens));
  }

  /**
   * The pooled embedding of a text, whose padding is attended to as any token.
   *
   * @return FP32 [width], host memory
   */
  public Tensor pooled(Tokens tokens) {
    Tensor rows = encode(tokens.ids());
    return rows.select(0, end(tokens.ids()));
  }

  /** The row that stands for the text. */
  private int end(int[] ids) {
    int found = 0;
    for (int i = 0; i < ids.length; i++) {
      if (config.end == OLD_END) {
        found = ids[i] > ids[found] ? i : found;
      } else if (ids[i] == config.end) {
        return i;
      }
    }
    return found;
  }

  /**
   * All rows after the last norm.
   *
   * @return FP32 [tokens, width], host memory
   */
  public Tensor encode(int[] ids) {
    if (ids.length > config.positions) {
      throw new IllegalArgumentException(
          "%s: %d tokens; it takes at most %d".formatted(where, ids.length, config.positions));
    }
    try (EncoderBuffers buffers = new EncoderBuffers(backend, type)) {
      Tensor sum = Embeddings.rows(buffers, weights.stored(TOKENS), ids, where);
      float[] first = weights.stored(POSITIONS).slice(0, 0, ids.length).toFloats();
      Tensor positions = buffers.filled(ElementType.FP32, first, ids.length, config.layers.width());
      buffers.ops.residual(positions, null, sum);
      config.layers.run(buffers, weights, sum, config.layers.layers(), true);
      weights.use("", w -> config.layers.norm(buffers.ops, w, NORM, sum, sum));
      return buffers.result(sum);
    }
  }

  @Override
  public void close() {
    weights.close();
  }
}
