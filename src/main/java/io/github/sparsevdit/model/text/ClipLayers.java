package io.github.sparsevdit.model.text;

import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Map;

/** The transformer layers that CLIP's two encoders share: layer norms before each part. */
record ClipLayers(
    int width, int hidden, int heads, int layers, float epsilon, Activation activation) {
  static ClipLayers of(ConfigFile file, int width, int hidden, int heads, int layers) {
    String activation = file.oneOf("hidden_act", "quick_gelu", "quick_gelu", "gelu");
    int wide = file.count("hidden_size", width, 1);
    int several = file.count("num_attention_heads", heads, 1);
    if (wide % several != 0) {
      throw file.wrong("num_attention_heads", "a divisor of hidden_size, which is " + wide);
    }
    return new ClipLayers(
        wide,
        file.count("intermediate_size", hidden, 1),
        several,
        file.count("num_hidden_layers", layers, 1),
        (float) file.positive("layer_norm_eps", 1e-5),
        activation.equals("gelu") ? Activation.GELU_ERF : Activation.QUICK_GELU);
  }

  void putShapes(Map<String, long[]> shapes) {
    for (int i = 0; i < layers; i++) {
      String layer = "encoder.layers." + i + ".";
      for (String name : new String[] {"q_proj", "k_proj", "v_proj", "out_proj"}) {
        put(shapes, layer + "self_attn." + name, width, width);
      }
      put(shapes, layer + "mlp.fc1", hidden, width);
      put(shapes, layer + "mlp.fc2", width, hidden);
      putNorm(shapes, layer + "layer_norm1", width);
      putNorm(shapes, layer + "layer_norm2", width);
    }
  }

  private static void put(Map<String, long[]> shapes, String name, long out, long in) {
    shapes.put(name + ".weight", new long[] {out, in});
    shapes.put(name + ".bias", new long[] {out});
  }

  static void putNorm(Map<String, long[]> shapes, String name, long width) {
    shapes.put(name + ".weight", new long[] {width});
    shapes.put(name + ".bias", new long[] {width});
  }

  /** Buffers of a pass over so many rows. */
  long activationBytes(ElementType type, long rows) {
    return rows * width * (3L * Float.BYTES + 6L * type.bytes())
        + rows * hidden * type.bytes()
        + rows * rows * (Float.BYTES + type.bytes());
  }

  /**
   * Runs the first layers on rows in place.
   *
   * @param sum FP32 [rows, width]
   * @param count how many layers
   */
  void run(EncoderBuffers buffers, LayerWeights weights, Tensor sum, int count, boolean causal) {
    Operations ops = buffers.ops;
    long rows = sum.size(0);
    Tensor normed = buffers.of(rows, width);
    Tensor added = buffers.of(ElementType.FP32, rows, width);
    Tensor q = buffers.of(rows, width);
    Tensor k = buffers.of(rows, width);
    Tensor v = buffers.of(rows, width);
    Tensor seen = buffers.of(rows, width);
    Tensor inner = buffers.of(rows, hidden);
    int headDim = width / heads;
    EncoderBuffers.Attention attention =
        new EncoderBuffers.Attention(
            buffers, rows, heads, heads, headDim, 1 / Math.sqrt(headDim), causal);
    for (int layer = 0; layer < count; layer++) {
      weights.use(
          "encoder.layers." + layer + ".",
          w -> {
            norm(ops, w, "layer_norm1", sum, normed);
            w.linear("self_attn.q_proj", width, width).apply(ops, normed, q);
            w.linear("self_attn.k_proj", width, width).apply(ops, normed, k);
            w.linear("self_attn.v_proj", width, width).apply(ops, normed, v);
            attention.apply(q, k, v, null, rows, seen);
            w.linear("self_attn.out_proj", width, width).apply(ops, seen, added);
            ops.residual(added, null, sum);
            norm(ops, w, "layer_norm2", sum, normed);
            w.linear("mlp.fc1", width, hidden).apply(ops, normed, inner);
            ops.convert(inner, activation, inner);
            w.linear("mlp.fc2", hidden, width).apply(ops, inner, added);
            ops.residual(added, null, sum);
          });
    }
  }

  /** y = the layer norm of that name of x. */
  void norm(Operations ops, Weights w, String name, Tensor x, Tensor y) {
    ops.layerNorm(
        x,
        w.stored(name + ".weight", width),
        w.stored(name + ".bias", width),
        null,
        null,
        epsilon,
        y);
  }
}
