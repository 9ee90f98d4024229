package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.parts.OtherNames;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a LoRA file adds to the layers of a denoiser: low-rank products, scaled by alpha / rank, and
 * plain differences of weights and biases. Three namings are read: diffusers' ({@code
 * transformer.<layer>.lora_A.weight}), the original repository's ({@code
 * diffusion_model.<layer>.lora_down.weight}), and musubi's, whose layers are written with
 * underscores ({@code lora_unet_blocks_0_self_attn_q}).
 */
final class LoraFile implements AutoCloseable {
  private static final List<String> PREFIXES =
      List.of("model.diffusion_model.", "diffusion_model.", "transformer.", "base_model.model.");
  private static final List<String> FLAT_PREFIXES = List.of("lora_unet_", "lora_transformer_");

  /** What a tensor of a layer is, by how its name ends. */
  private enum Kind {
    DOWN(".lora_A.weight", ".lora_A.default.weight", ".lora_down.weight"),
    UP(".lora_B.weight", ".lora_B.default.weight", ".lora_up.weight"),
    ALPHA(".alpha"),
    DIFFERENCE(".diff"),
    BIAS(".diff_b");

    private final List<String> ends;

    Kind(String... ends) {
      this.ends = List.of(ends);
    }
  }

  /**
   * What is added to one weight.
   *
   * @param down [rank, columns], null where there is no product
   * @param up [rows, rank], scaled
   * @param plain of the weight's size, scaled; null for none
   */
  record Addition(float[] down, float[] up, int rank, float[] plain) {
    /** Adds its part to a row. */
    void addTo(int row, float[] values) {
      int columns = values.length;
      for (int k = 0; k < rank; k++) {
        float factor = up[row * rank + k];
        for (int column = 0; column < columns; column++) {
          values[column] += factor * down[k * columns + column];
        }
      }
      if (plain != null) {
        for (int column = 0; column < columns; column++) {
          values[column] += plain[row * columns + column];
        }
      }
    }
  }

  private final Lora lora;
  private final Safetensors tensors;
  private final Map<String, Map<Kind, String>> layers = new LinkedHashMap<>();

  LoraFile(Lora lora) {
    this.lora = lora;
    tensors = Safetensors.open(lora.file());
    try {
      tensors.names().forEach(this::sort);
    } catch (RuntimeException | Error failure) {
      tensors.close();
      throw failure;
    }
  }

  private void sort(String name) {
    for (Kind kind : Kind.values()) {
      for (String end : kind.ends) {
        if (name.endsWith(end)) {
          String layer = name.substring(0, name.length() - end.length());
          layers.computeIfAbsent(layer, unused -> new HashMap<>()).put(kind, name);
          return;
        }
      }
    }
    throw new UnsupportedException(
        "%s: tensor %s is of no kind that is merged; known are %s"
            .formatted(
                lora.file(),
                name,
                Arrays.stream(Kind.values()).flatMap(kind -> kind.ends.stream()).toList()));
  }

  /** What it adds to the weights of a model, by their names. */
  Map<String, Addition> additions(TensorSource model, OtherNames otherNames) {
    Map<String, String> flat = flat(model.names(), otherNames);
    Map<String, Addition> additions = new HashMap<>();
    layers.forEach(
        (written, parts) -> {
          String layer = layer(written, model, otherNames, flat);
          if (parts.containsKey(Kind.DOWN)
              || parts.containsKey(Kind.UP)
              || parts.containsKey(Kind.DIFFERENCE)) {
            String weight = required(written, layer + ".weight", model);
            additions.put(weight, addition(written, parts, model.shape(weight)));
          }
          if (parts.containsKey(Kind.BIAS)) {
            String bias = required(written, layer + ".bias", model);
            additions.put(
                bias, new Addition(null, null, 0, scaled(parts.get(Kind.BIAS), model.shape(bias))));
          }
        });
    return additions;
  }

  private Addition addition(String written, Map<Kind, String> parts, long[] shape) {
    float[] plain =
        parts.containsKey(Kind.DIFFERENCE) ? scaled(parts.get(Kind.DIFFERENCE), shape) : null;
    if (!parts.containsKey(Kind.DOWN) && !parts.containsKey(Kind.UP)) {
      return new Addition(null, null, 0, plain);
    }
    if (!parts.containsKey(Kind.DOWN) || !parts.containsKey(Kind.UP)) {
      throw new IllegalArgumentException(
          "%s: layer %s has one factor of its product and not the other"
              .formatted(lora.file(), written));
    }
    Tensor down = tensors.tensor(parts.get(Kind.DOWN));
    Tensor up = tensors.tensor(parts.get(Kind.UP));
    int rank = Math.toIntExact(down.rank() == 0 ? 0 : down.size(0));
    long rows = shape[0];
    long columns = Arrays.stream(shape).skip(1).reduce(1, (a, b) -> a * b);
    if (rank == 0 || down.elements() != rank * columns || up.elements() != rows * rank) {
      throw new IllegalArgumentException(
          "%s: layer %s has the factors %s and %s, and the model's weight is %s"
              .formatted(lora.file(), written, down, up, Arrays.toString(shape)));
    }
    double alpha =
        parts.containsKey(Kind.ALPHA) ? tensors.tensor(parts.get(Kind.ALPHA)).toFloats()[0] : rank;
    float[] scaled = up.toFloats();
    for (int i = 0; i < scaled.length; i++) {
      scaled[i] *= (float) (lora.scale() * alpha / rank);
    }
    return new Addition(down.toFloats(), scaled, rank, plain);
  }

  private float[] scaled(String name, long[] shape) {
    Tensor tensor = tensors.tensor(name);
    if (tensor.elements() != Arrays.stream(shape).reduce(1, (a, b) -> a * b)) {
      throw new IllegalArgumentException(
          "%s: %s is %s, and the model's weight is %s"
              .formatted(lora.file(), name, tensor, Arrays.toString(shape)));
    }
    float[] values = tensor.toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= (float) lora.scale();
    }
    return values;
  }

  private String required(String written, String name, TensorSource model) {
    if (!model.has(name)) {
      throw new IllegalArgumentException(
          "%s: layer %s changes %s, which the model does not have"
              .formatted(lora.file(), written, name));
    }
    return name;
  }

  /** The model's layer that a file's means. */
  private String layer(
      String written, TensorSource model, OtherNames otherNames, Map<String, String> flat) {
    for (String prefix : FLAT_PREFIXES) {
      if (written.startsWith(prefix)) {
        String layer = flat.get(written.substring(prefix.length()));
        if (layer != null) {
          return layer;
        }
      }
    }
    String plain = written;
    for (String prefix : PREFIXES) {
      if (plain.startsWith(prefix)) {
        plain = plain.substring(prefix.length());
        break;
      }
    }
    String ours = otherNames == null ? null : otherNames.ours(plain);
    for (String layer : new String[] {plain, ours}) {
      if (layer != null && (model.has(layer + ".weight") || model.has(layer + ".bias"))) {
        return layer;
      }
    }
    throw new IllegalArgumentException(
        "%s: the model has no layer %s; the file is another model's, or also changes the text encoder, which is not merged"
            .formatted(lora.file(), written));
  }

  /** The model's layers, as musubi's naming writes them. */
  private static Map<String, String> flat(Set<String> names, OtherNames otherNames) {
    Map<String, String> flat = new HashMap<>();
    for (String name : names) {
      int end = name.lastIndexOf('.');
      if (end > 0) {
        String layer = name.substring(0, end);
        flat.put(layer.replace('.', '_'), layer);
        String theirs = otherNames == null ? null : otherNames.theirs(layer);
        if (theirs != null) {
          flat.put(theirs.replace('.', '_'), layer);
        }
      }
    }
    return flat;
  }

  @Override
  public void close() {
    tensors.close();
  }
}
