package io.github.sparsevdit.model.text;

import static io.github.sparsevdit.model.parts.Activation.GELU_TANH;
import static io.github.sparsevdit.model.parts.Activation.NONE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The encoder of T5 v1.1 (CogVideoX) and UMT5 (Wan): RMS norms, attention with a learned bias for
 * the distance of two tokens and no scaling, gated GELU. UMT5 has a bias of its own in every layer;
 * T5's first layer has that of all. Source: transformers' T5EncoderModel and UMT5EncoderModel.
 *
 * <p>Residual sums are FP32 whatever is computed in. For one thread at a time.
 */
public final class T5Encoder implements AutoCloseable {
  private static final String SHARED = "shared.weight";
  private static final String EMBEDDING = "encoder.embed_tokens.weight";
  private static final String BIAS = "layer.0.SelfAttention.relative_attention_bias.weight";

  private final Config config;
  private final LayerWeights weights;
  private final Backend backend;
  private final ElementType type;
  private final String where;

  private record Config(
      boolean biasEverywhere,
      int width,
      int hidden,
      int headDim,
      int heads,
      int layers,
      int buckets,
      int farthest,
      float epsilon,
      int vocabulary) {
    static Config of(ConfigFile file) {
      String kind = file.oneOf("model_type", "t5", "t5", "umt5");
      String className = kind.equals("t5") ? "T5EncoderModel" : "UMT5EncoderModel";
      file.require("feed_forward_proj", "gated-gelu", "relu");
      file.oneOf("dense_act_fn", "gelu_new", "gelu_new");
      file.require("is_gated_act", "true", "true");
      Config config =
          new Config(
              kind.equals("umt5"),
              file.count("d_model", 512, 1),
              file.count("d_ff", 2048, 1),
              file.count("d_kv", 64, 1),
              file.count("num_heads", 8, 1),
              file.count("num_layers", 6, 1),
              file.count("relative_attention_num_buckets", 32, 4),
              file.count("relative_attention_max_distance", 128, 2),
              (float) file.positive("layer_norm_epsilon", 1e-6),
              file.count("vocab_size", 32128, 1));
      file.requireAllKnown(className);
      return config;
    }

    int inner() {
      return heads * headDim;
    }
  }

  private T5Encoder(
      Config config, LayerWeights weights, Backend backend, ElementType type, String where) {
    this.config = config;
    this.weights = weights;
    this.backend = backend;
    this.type = type;
    this.where = where;
  }

  /**
   * Opens an encoder's folder: config.json and safetensors.
   *
   * @param type BF16 or FP32
   * @throws IllegalArgumentException if it is none, or a weight is missing, unexpected or of a
   *     wrong shape; the message names it
   */
  public static T5Encoder open(Path folder, String variant, Backend backend, ElementType type) {
    Config config = config(folder);
    LayerWeights weights =
        new LayerWeights(folder, variant, backend, type, "encoder.final_layer_norm.weight", "");
    try {
      weights.require(
          shapes(config, weights.has(SHARED) ? SHARED : EMBEDDING),
          name -> name.equals(EMBEDDING) || name.equals(SHARED));
      return new T5Encoder(config, weights, backend, type, folder.toString());
    } catch (RuntimeException | Error failure) {
      weights.close();
      throw failure;
    }
  }

  private static Config config(Path folder) {
    return Config.of(ConfigFile.read(folder.resolve("config.json")));
  }

  private static Map<String, long[]> shapes(Config config, String embedding) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    long width = config.width;
    shapes.put(embedding, new long[] {config.vocabulary, width});
    shapes.put("encoder.final_layer_norm.weight", new long[] {width});
    for (int layer = 0; layer < config.layers; layer++) {
      String block = block(layer);
      for (String name : new String[] {"q", "k", "v"}) {
        shapes.put(attention(block, name), new long[] {config.inner(), width});
      }
      shapes.put(attention(block, "o"), new long[] {width, config.inner()});
      if (layer == 0 || config.biasEverywhere) {
        shapes.put(block + BIAS, new long[] {config.buckets, config.heads});
      }
      for (String name : new String[] {"wi_0", "wi_1"}) {
        shapes.put(dense(block, name), new long[] {config.hidden, width});
      }
      shapes.put(dense(block, "wo"), new long[] {width, config.hidden});
      shapes.put(block + "layer.0.layer_norm.weight", new long[] {width});
      shapes.put(block + "layer.1.layer_norm.weight", new long[] {width});
    }
    return shapes;
  }

  private static String block(int layer) {
    return "encoder.block." + layer + ".";
  }

  private static String attention(String block, String name) {
    return block + "layer.0.SelfAttention." + name + ".weight";
  }

  private static String dense(String block, String name) {
    return block + "layer.1.DenseReluDense." + name + ".weight";
  }

  /** What encoding so many tokens takes of memory. */
  public static EncoderMemory memory(Path folder, String variant, ElementType type, int tokens) {
    Config config = config(folder);
    long rows = tokens;
    long bytes = type.bytes();
    long activations =
        rows * config.width * (3L * Float.BYTES + bytes)
            + rows * (5L * config.inner() + 2L * config.hidden) * bytes
            + rows * rows * (Float.BYTES * (2L * config.heads + 1) + bytes);
    return EncoderMemory.of(folder, variant, type, activations);
  }

  /**
   * Encodes a text.
   *
   * @param masked whether padding is hidden from attention, as Wan's pipeline has it; CogVideoX's
   *     lets every row see it
   * @return FP32 [tokens, width], host memory
   */
  public Tensor encode(Tokens tokens, boolean masked) {
    int[] ids = tokens.ids();
    int rows = ids.length;
    long valid = masked ? tokens.valid() : rows;
    try (EncoderBuffers buffers = new EncoderBuffers(backend, type)) {
      Operations ops = buffers.ops;
      Tensor table = weights.stored(weights.has(SHARED) ? SHARED : EMBEDDING);
      Tensor sum = Embeddings.rows(buffers, table, ids, where);
      Tensor normed = buffers.of(rows, config.width);
      Tensor added = buffers.of(ElementType.FP32, rows, config.width);
      Tensor q = buffers.of(rows, config.inner());
      Tensor k = buffers.of(rows, config.inner());
      Tensor v = buffers.of(rows, config.inner());
      Tensor seen = buffers.of(rows, config.inner());
      Tensor gate = buffers.of(rows, config.hidden);
      Tensor up = buffers.of(rows, config.hidden);
      Tensor hostBias = buffers.host((long) config.heads * rows, rows);
      Tensor bias =
          backend.kind() == Backend.Kind.CPU
              ? hostBias
              : buffers.of(ElementType.FP32, (long) config.heads * rows, rows);
      EncoderBuffers.Attention attention =
          new EncoderBuffers.Attention(
              buffers, rows, config.heads, config.heads, config.headDim, 1, false);
      for (int layer = 0; layer < config.layers; layer++) {
        weights.readAhead(block(layer + 1));
        if (layer == 0 || config.biasEverywhere) {
          fillBias(weights.stored(block(layer) + BIAS).toFloats(), rows, hostBias);
          ops.load(hostBias, bias);
        }
        weights.use(
            block(layer),
            w -> {
              ops.rmsNorm(sum, norm(w, 0), 0, config.epsilon, normed);
              ops.linear(normed, projection(w, "q"), null, NONE, q);
              ops.linear(normed, projection(w, "k"), null, NONE, k);
              ops.linear(normed, projection(w, "v"), null, NONE, v);
              attention.apply(q, k, v, bias, valid, seen);
              Tensor o = w.table("layer.0.SelfAttention.o.weight", config.width, config.inner());
              ops.linear(seen, o, null, NONE, added);
              ops.residual(added, null, sum);
              ops.rmsNorm(sum, norm(w, 1), 0, config.epsilon, normed);
              ops.linear(normed, in(w, "wi_0"), null, GELU_TANH, gate);
              ops.linear(normed, in(w, "wi_1"), null, NONE, up);
              ops.multiply(gate, up, gate);
              Tensor wo = w.table("layer.1.DenseReluDense.wo.weight", config.width, config.hidden);
              ops.linear(gate, wo, null, NONE, added);
              ops.residual(added, null, sum);
            });
      }
      weights.use(
          "encoder.final_layer_norm.",
          w -> ops.rmsNorm(sum, w.stored("weight", config.width), 0, config.epsilon, sum));
      return buffers.result(sum);
    }
  }

  private Tensor norm(Weights w, int part) {
    return w.stored("layer." + part + ".layer_norm.weight", config.width);
  }

  private Tensor projection(Weights w, String name) {
    return w.table("layer.0.SelfAttention." + name + ".weight", config.inner(), config.width);
  }

  private Tensor in(Weights w, String name) {
    return w.table("layer.1.DenseReluDense." + name + ".weight", config.hidden, config.width);
  }

  /** The bias of every head for every query and key: it depends on their distance alone. */
  private void fillBias(float[] table, int rows, Tensor bias) {
    int[] bucketOf = new int[2 * rows - 1]; // of key − query + rows − 1
    for (int i = 0; i < bucketOf.length; i++) {
      bucketOf[i] = bucket(i - rows + 1);
    }
    MemorySegment all = bias.segment();
    IntStream.range(0, config.heads)
        .parallel()
        .forEach(
            head -> {
              float[] byDistance = new float[bucketOf.length];
              for (int i = 0; i < bucketOf.length; i++) {
                byDistance[i] = table[bucketOf[i] * config.heads + head];
              }
              for (int query = 0; query < rows; query++) {
                long row = ((long) head * rows + query) * rows;
                MemorySegment.copy(
                    byDistance, rows - 1 - query, all, JAVA_FLOAT, row * Float.BYTES, rows);
              }
            });
  }

  /**
   * Half of the buckets are for keys behind the query; of each half the first half is for one
   * distance each, and the others widen logarithmically up to the farthest.
   */
  private int bucket(int distance) {
    int half = config.buckets / 2;
    int exact = half / 2;
    int begin = distance > 0 ? half : 0;
    int magnitude = Math.abs(distance);
    if (magnitude < exact) {
      return begin + magnitude;
    }
    // In the float arithmetic that the tables were trained with.
    float steps =
        (float) Math.log((float) magnitude / exact)
            / (float) Math.log((double) config.farthest / exact)
            * (half - exact);
    return begin + Math.min(half - 1, exact + (int) steps);
  }

  @Override
  public void close() {
    weights.close();
  }

  @Override
  public String toString() {
    return where + Arrays.asList(config.layers, config.width);
  }
}
