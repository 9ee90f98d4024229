package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.Family;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A denoiser's weights with LoRA files merged into the layers they name: W + scale · alpha / rank ·
 * up · down, summed in FP32 and rounded once. Only those layers take memory of their own.
 */
final class MergedTensors implements TensorSource {
  private final TensorSource source;
  private final Family family;
  private final ElementType type;
  private final Map<String, List<LoraFile.Addition>> additions = new HashMap<>();
  private final MadeTensors merged = new MadeTensors();

  /**
   * The source itself without LoRA files; what is returned closes it, as this does if it throws.
   */
  static TensorSource over(TensorSource source, List<Lora> loras, Family family, ElementType type) {
    if (loras.isEmpty()) {
      return source;
    }
    try {
      return new MergedTensors(source, loras, family, type);
    } catch (RuntimeException | Error failure) {
      source.close();
      throw failure;
    }
  }

  private MergedTensors(TensorSource source, List<Lora> loras, Family family, ElementType type) {
    this.source = source;
    this.family = family;
    this.type = type;
    for (Lora lora : loras) {
      try (LoraFile file = new LoraFile(lora)) {
        file.additions(source, family.otherNames())
            .forEach(
                (name, addition) ->
                    additions.computeIfAbsent(name, unused -> new ArrayList<>()).add(addition));
      }
    }
  }

  private ElementType typeOf(String name) {
    return family.inFp32(name) ? ElementType.FP32 : type;
  }

  @Override
  public Set<String> names() {
    return source.names();
  }

  @Override
  public Tensor tensor(String name) {
    List<LoraFile.Addition> added = additions.get(name);
    if (added == null) {
      return source.tensor(name);
    }
    Tensor plain = source.tensor(name);
    long rows = plain.size(0);
    Tensor matrix = plain.view(rows, plain.elements() / rows);
    return merged.get(
        name,
        typeOf(name),
        plain.shape(),
        row -> {
          float[] values = matrix.select(0, row).toFloats();
          added.forEach(addition -> addition.addTo(row, values));
          return values;
        });
  }

  @Override
  public long[] shape(String name) {
    return source.shape(name);
  }

  @Override
  public long storedBytes(String name) {
    return source.storedBytes(name);
  }

  @Override
  public long copiedBytes(String name, ElementType wanted) {
    long plain = source.copiedBytes(name, wanted);
    if (!additions.containsKey(name)) {
      return plain;
    }
    long elements = Arrays.stream(shape(name)).reduce(1, (a, b) -> a * b);
    long again = typeOf(name) == wanted ? 0 : elements * wanted.bytes();
    return elements * typeOf(name).bytes() + again;
  }

  @Override
  public Map<String, String> metadata() {
    return source.metadata();
  }

  @Override
  public void close() {
    Resources all = new Resources();
    all.add(source);
    all.add(merged);
    all.close();
  }

  @Override
  public String toString() {
    return source.toString();
  }
}
