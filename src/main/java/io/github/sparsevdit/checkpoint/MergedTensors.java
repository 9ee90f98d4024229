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
 * up · down, summed in FP32 and rounded once. Only those layers take memory of their own: the LoRA
 * files are mapped, and read where a layer is merged.
 */
final class MergedTensors implements TensorSource {
  private final TensorSource source;
  private final Family family;
  private final ElementType type;
  private final List<LoraFile> files = new ArrayList<>();
  private final Map<String, List<LoraFile.Addition>> additions = new HashMap<>();
  private final MadeTensors merged = new MadeTensors();

  /**
   * The source itself without LoRA files; what is returned closes it, as this does if it throws.
   */
  static TensorSource over(TensorSource source, List<Lora> loras, Family family, ElementType type) {
    if (loras.isEmpty()) {
      return source;
    }
    MergedTensors merged = new MergedTensors(source, family, type);
    try {
      loras.forEach(merged::add);
      return merged;
    } catch (RuntimeException | Error failure) {
      merged.close();
      throw failure;
    }
  }

  private MergedTensors(TensorSource source, Family family, ElementType type) {
    this.source = source;
    this.family = family;
    this.type = type;
  }

  private void add(Lora lora) {
    LoraFile file = new LoraFile(lora);
    files.add(file);
    file.additions(source, family.otherNames())
        .forEach(
            (name, added) ->
                additions.computeIfAbsent(name, unused -> new ArrayList<>()).addAll(added));
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
        () -> {
          List<LoraFile.Rows> each = added.stream().map(LoraFile.Addition::open).toList();
          return row -> {
            float[] values = matrix.select(0, row).toFloats();
            each.forEach(rowsOf -> rowsOf.addTo(row, values));
            return values;
          };
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
    if (!additions.containsKey(name)) {
      return source.copiedBytes(name, wanted);
    }
    return madeBytes(name) + (typeOf(name) == wanted ? 0 : elements(name) * wanted.bytes());
  }

  /** The plain weight stays as long as the source: where it is expanded from E4M3, that is made. */
  @Override
  public long madeBytes(String name) {
    long merging = additions.containsKey(name) ? elements(name) * typeOf(name).bytes() : 0;
    return source.madeBytes(name) + merging;
  }

  private long elements(String name) {
    return Arrays.stream(shape(name)).reduce(1, (a, b) -> a * b);
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
    files.forEach(all::add);
    all.close();
  }

  @Override
  public String toString() {
    return source.toString();
  }
}
