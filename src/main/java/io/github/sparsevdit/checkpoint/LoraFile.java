package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.parts.OtherNames;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.util.ArrayList;
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

  /** What is added to one weight; its values stay in the file, which must be open. */
  interface Addition {
    /** Reads what every row needs. */
    Rows open();
  }

  /** Adds its part to a weight's rows; any thread may take any row. */
  interface Rows {
    void addTo(int row, float[] values);
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

  /** What it adds to the weights of a model, by their names. Only shapes are read. */
  Map<String, List<Addition>> additions(TensorSource model, OtherNames otherNames) {
    Map<String, String> flat = flat(model.names(), otherNames);
    Map<String, List<Addition>> additions = new HashMap<>();
    layers.forEach(
        (written, parts) -> {
          String layer = layer(written, model, otherNames, flat);
          List<Addition> added = new ArrayList<>();
          if (parts.containsKey(Kind.DOWN) || parts.containsKey(Kind.UP)) {
            added.add(product(written, parts, shape(written, layer + ".weight", model)));
          }
          if (parts.containsKey(Kind.DIFFERENCE)) {
            long[] shape = shape(written, layer + ".weight", model);
            added.add(difference(parts.get(Kind.DIFFERENCE), shape));
          }
          if (!added.isEmpty()) {
            additions.put(layer + ".weight", added);
          }
          if (parts.containsKey(Kind.BIAS)) {
            long[] shape = shape(written, layer + ".bias", model);
            additions.put(layer + ".bias", List.of(difference(parts.get(Kind.BIAS), shape)));
          }
        });
    return additions;
  }

  private Addition product(String written, Map<Kind, String> parts, long[] shape) {
    if (!parts.containsKey(Kind.DOWN) || !parts.containsKey(Kind.UP)) {
      throw new IllegalArgumentException(
          "%s: layer %s has one factor of its product and not the other"
              .formatted(lora.file(), written));
    }
    String down = parts.get(Kind.DOWN);
    String up = parts.get(Kind.UP);
    long[] downShape = tensors.shape(down);
    int rank = Math.toIntExact(downShape.length == 0 ? 0 : downShape[0]);
    long rows = shape[0];
    long columns = elements(shape) / rows;
    if (rank == 0
        || elements(downShape) != rank * columns
        || elements(tensors.shape(up)) != rows * rank) {
      throw new IllegalArgumentException(
          "%s: layer %s has the factors %s and %s, and the model's weight is %s"
              .formatted(
                  lora.file(),
                  written,
                  Arrays.toString(downShape),
                  Arrays.toString(tensors.shape(up)),
                  Arrays.toString(shape)));
    }
    double alpha =
        parts.containsKey(Kind.ALPHA) ? tensors.tensor(parts.get(Kind.ALPHA)).toFloats()[0] : rank;
    float scale = (float) (lora.scale() * alpha / rank);
    return () -> {
      float[] factors = tensors.tensor(down).toFloats();
      Tensor ups = tensors.tensor(up).view(rows, rank);
      return (row, values) -> {
        float[] own = ups.select(0, row).toFloats();
        for (int k = 0; k < rank; k++) {
          float factor = own[k] * scale;
          for (int column = 0; column < values.length; column++) {
            values[column] += factor * factors[k * values.length + column];
          }
        }
      };
    };
  }

  private Addition difference(String name, long[] shape) {
    if (elements(tensors.shape(name)) != elements(shape)) {
      throw new IllegalArgumentException(
          "%s: %s is %s, and the model's weight is %s"
              .formatted(
                  lora.file(), name, Arrays.toString(tensors.shape(name)), Arrays.toString(shape)));
    }
    float scale = (float) lora.scale();
    return () -> {
      Tensor all = tensors.tensor(name).view(shape[0], elements(shape) / shape[0]);
      return (row, values) -> {
        float[] own = all.select(0, row).toFloats();
        for (int column = 0; column < values.length; column++) {
          values[column] += own[column] * scale;
        }
      };
    };
  }

  private static long elements(long[] shape) {
    return Arrays.stream(shape).reduce(1, (a, b) -> a * b);
  }

  private long[] shape(String written, String name, TensorSource model) {
    if (!model.has(name)) {
      throw new IllegalArgumentException(
          "%s: layer %s changes %s, which the model does not have"
              .formatted(lora.file(), written, name));
    }
    return model.shape(name);
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
