package io.github.sparsevdit.model.text;

import static io.github.sparsevdit.model.parts.Activation.NONE;
import static io.github.sparsevdit.model.parts.Activation.SILU;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Llama as a text encoder (HunyuanVideo): a hidden state of a causal decoder, with keys shared by
 * several query heads, rotary positions and gated SiLU. Layers after the one that is asked for are
 * not computed. Source: transformers' LlamaModel.
 *
 * <p>Residual sums are FP32 whatever is computed in. For one thread at a time.
 */
public final class LlamaEncoder implements AutoCloseable {
  private static final String EMBEDDING = "embed_tokens.weight";
  private static final String NORM = "norm.weight";

  private final Config config;
  private final LayerWeights weights;
  private final Backend backend;
  private final ElementType type;
  private final String where;

  private record Config(
      int width,
      int hidden,
      int heads,
      int keyHeads,
      int headDim,
      int layers,
      double theta,
      float epsilon,
      int vocabulary) {
    static Config of(ConfigFile file) {
      file.oneOf("model_type", "llama", "llama");
      file.oneOf("hidden_act", "silu", "silu");
      file.require("attention_bias", "false", "false");
      file.require("mlp_bias", "false", "false");
      int width = file.count("hidden_size", 4096, 1);
      int heads = file.count("num_attention_heads", 32, 1);
      int keyHeads =
          file.has("num_key_value_heads") ? file.count("num_key_value_heads", 0, 1) : heads;
      if (heads % keyHeads != 0) {
        throw file.wrong("num_key_value_heads", "a divisor of the " + heads + " heads");
      }
      Config config =
          new Config(
              width,
              file.count("intermediate_size", 11008, 1),
              heads,
              keyHeads,
              file.has("head_dim") ? file.count("head_dim", 0, 2) : width / heads,
              file.count("num_hidden_layers", 32, 1),
              theta(file),
              (float) file.positive("rms_norm_eps", 1e-6),
              file.count("vocab_size", 32000, 1));
      file.requireAllKnown("LlamaModel");
      return config;
    }

    /** At the top, or in rope_parameters since transformers 5. */
    private static double theta(ConfigFile file) {
      double theta = file.positive("rope_theta", 10000);
      if (file.has("rope_scaling")) {
        throw file.wrong("rope_scaling", "null: positions are not scaled");
      }
      if (!file.has("rope_parameters")) {
        return theta;
      }
      ConfigFile parameters = file.object("rope_parameters");
      parameters.oneOf("rope_type", "default", "default");
      theta = parameters.positive("rope_theta", theta);
      parameters.requireAllKnown("LlamaModel");
      return theta;
    }

    int inner() {
      return heads * headDim;
    }

    int keys() {
      return keyHeads * headDim;
    }
  }

  private LlamaEncoder(
      Config config, LayerWeights weights, Backend backend, ElementType type, String where) {
    this.config = config;
    this.weights = weights;
    this.backend = backend;
    this.type = type;
    this.where = where;
  }

  /** Opens an encoder's folder; see {@link T5Encoder#open}. */
  public static LlamaEncoder open(Path folder, String variant, Backend backend, ElementType type) {
    Config config = config(folder);
    LayerWeights weights =
        new LayerWeights(
            folder, variant, backend, type, NORM, "", "model.", "language_model.model.");
    try {
      weights.require(
          shapes(config),
          name -> name.endsWith("lm_head.weight") || name.endsWith("rotary_emb.inv_freq"));
      return new LlamaEncoder(config, weights, backend, type, folder.toString());
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
    long width = config.width;
    shapes.put(EMBEDDING, new long[] {config.vocabulary, width});
    shapes.put(NORM, new long[] {width});
    for (int i = 0; i < config.layers; i++) {
      String layer = "layers." + i + ".";
      shapes.put(layer + "self_attn.q_proj.weight", new long[] {config.inner(), width});
      shapes.put(layer + "self_attn.k_proj.weight", new long[] {config.keys(), width});
      shapes.put(layer + "self_attn.v_proj.weight", new long[] {config.keys(), width});
      shapes.put(layer + "self_attn.o_proj.weight", new long[] {width, config.inner()});
      shapes.put(layer + "mlp.gate_proj.weight", new long[] {config.hidden, width});
      shapes.put(layer + "mlp.up_proj.weight", new long[] {config.hidden, width});
      shapes.put(layer + "mlp.down_proj.weight", new long[] {width, config.hidden});
      shapes.put(layer + "input_layernorm.weight", new long[] {width});
      shapes.put(layer + "post_attention_layernorm.weight", new long[] {width});
    }
    return shapes;
  }

  /** What encoding so many tokens takes of memory. */
  public static EncoderMemory memory(Path folder, String variant, ElementType type, int tokens) {
    Config config = config(folder);
    long rows = tokens;
    long bytes = type.bytes();
    long activations =
        rows * config.width * (3L * Float.BYTES + bytes)
            + rows * (2L * config.inner() + 3L * config.keys() + 2L * config.hidden) * bytes
            + rows * 2L * config.headDim * Float.BYTES
            + rows * rows * (Float.BYTES + bytes);
    return EncoderMemory.of(folder, variant, type, activations);
  }

  /**
   * Encodes a text.
   *
   * @param fromEnd which hidden state, from the end: 1 is the last layer's, with the final norm; 3
   *     is what leaves the last layer but two
   * @return FP32 [tokens, width], host memory
   */
  public Tensor encode(Tokens tokens, int fromEnd) {
    if (fromEnd < 1 || fromEnd > config.layers + 1) {
      throw new IllegalArgumentException(
          "hidden state -%d of %d; there are 1 to %d"
              .formatted(fromEnd, config.layers, config.layers + 1));
    }
    int rows = tokens.ids().length;
    try (EncoderBuffers buffers = new EncoderBuffers(backend, type)) {
      Operations ops = buffers.ops;
      Tensor sum = Embeddings.rows(buffers, weights.stored(EMBEDDING), tokens.ids(), where);
      Tensor normed = buffers.of(rows, config.width);
      Tensor added = buffers.of(ElementType.FP32, rows, config.width);
      Tensor q = buffers.of(rows, config.inner());
      Tensor k = buffers.of(rows, config.keys());
      Tensor v = buffers.of(rows, config.keys());
      Tensor seen = buffers.of(rows, config.inner());
      Tensor gate = buffers.of(rows, config.hidden);
      Tensor up = buffers.of(rows, config.hidden);
      Tensor[] rotary = rotary(buffers, rows);
      EncoderBuffers.Attention attention =
          new EncoderBuffers.Attention(
              buffers,
              rows,
              config.heads,
              config.keyHeads,
              config.headDim,
              1 / Math.sqrt(config.headDim),
              true);
      for (int layer = 0; layer <= config.layers - fromEnd; layer++) {
        if (layer < config.layers - fromEnd) {
          weights.readAhead("layers." + (layer + 1) + ".");
        }
        weights.use(
            "layers." + layer + ".",
            w -> {
              ops.rmsNorm(sum, norm(w, "input_layernorm"), 0, config.epsilon, normed);
              ops.linear(normed, in(w, "self_attn.q_proj", config.inner()), null, NONE, q);
              ops.linear(normed, in(w, "self_attn.k_proj", config.keys()), null, NONE, k);
              ops.linear(normed, in(w, "self_attn.v_proj", config.keys()), null, NONE, v);
              ops.ropeHalves(q, config.headDim, rotary[0], rotary[1]);
              ops.ropeHalves(k, config.headDim, rotary[0], rotary[1]);
              attention.apply(q, k, v, null, tokens.valid(), seen);
              ops.linear(
                  seen,
                  w.table("self_attn.o_proj.weight", config.width, config.inner()),
                  null,
                  NONE,
                  added);
              ops.residual(added, null, sum);
              ops.rmsNorm(sum, norm(w, "post_attention_layernorm"), 0, config.epsilon, normed);
              ops.linear(normed, in(w, "mlp.gate_proj", config.hidden), null, SILU, gate);
              ops.linear(normed, in(w, "mlp.up_proj", config.hidden), null, NONE, up);
              ops.multiply(gate, up, gate);
              ops.linear(
                  gate,
                  w.table("mlp.down_proj.weight", config.width, config.hidden),
                  null,
                  NONE,
                  added);
              ops.residual(added, null, sum);
            });
      }
      if (fromEnd == 1) {
        weights.use(
            "norm.",
            w -> ops.rmsNorm(sum, w.stored("weight", config.width), 0, config.epsilon, sum));
      }
      return buffers.result(sum);
    }
  }

  private Tensor norm(Weights w, String name) {
    return w.stored(name + ".weight", config.width);
  }

  private Tensor in(Weights w, String name, int outputs) {
    return w.table(name + ".weight", outputs, config.width);
  }

  /** Cosine and sine of every position and pair. */
  private Tensor[] rotary(EncoderBuffers buffers, int rows) {
    int pairs = config.headDim / 2;
    float[] cosine = new float[rows * pairs];
    float[] sine = new float[rows * pairs];
    for (int pair = 0; pair < pairs; pair++) {
      float frequency = (float) (1 / Math.pow(config.theta, 2.0 * pair / config.headDim));
      for (int row = 0; row < rows; row++) {
        float angle = row * frequency;
        cosine[row * pairs + pair] = (float) Math.cos(angle);
        sine[row * pairs + pair] = (float) Math.sin(angle);
      }
    }
    return new Tensor[] {
      buffers.filled(ElementType.FP32, cosine, rows, pairs),
      buffers.filled(ElementType.FP32, sine, rows, pairs)
    };
  }

  @Override
  public void close() {
    weights.close();
  }
}
