package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * A file whose weights are partly E4M3, expanded to the type that is computed in when they are
 * asked for: value · scale, with the scale of {@code <layer>.scale_weight} (one FP32 number), or 1.
 * That is how ComfyUI stores them. Its {@code scale_input} does not concern the weights, and the
 * marker {@code scaled_fp8} says nothing that the scales do not.
 */
final class Fp8Tensors implements TensorSource {
  private static final String E4M3 = "F8_E4M3";
  private static final String WEIGHT = ".weight";
  private static final String SCALE = ".scale_weight";
  private static final String INPUT = ".scale_input";
  private static final String MARKER = "scaled_fp8";
  private static final Set<String> OTHER_SCHEMES =
      Set.of(".weight_scale", ".weight_scale_2", ".comfy_quant", ".weight_scale_inv");
  private static final float[] VALUES = new float[256];

  static {
    IntStream.range(0, 256).forEach(bits -> VALUES[bits] = ElementType.E4M3.decode(bits));
  }

  private final Safetensors source;
  private final ElementType type;
  private final Set<String> names = new LinkedHashSet<>();
  private final MadeTensors expanded = new MadeTensors();

  /** The source itself where no weight of it is E4M3; what is returned closes it. */
  static TensorSource over(Safetensors source, ElementType type) {
    boolean any = source.names().stream().anyMatch(name -> source.dtype(name).startsWith("F8_"));
    return any ? new Fp8Tensors(source, type) : source;
  }

  private Fp8Tensors(Safetensors source, ElementType type) {
    this.source = source;
    this.type = type;
    for (String name : source.names()) {
      for (String end : OTHER_SCHEMES) {
        if (name.endsWith(end)) {
          throw new UnsupportedException(
              source
                  + ": "
                  + name
                  + " belongs to a scheme of quantised weights that is not read;"
                  + " E4M3 weights with or without scale_weight are, as are BF16, F16 and F32");
        }
      }
      boolean about = name.endsWith(SCALE) || name.endsWith(INPUT) || name.endsWith(MARKER);
      if (!about) {
        names.add(name);
        requireKnown(name);
      }
    }
  }

  private void requireKnown(String name) {
    String dtype = source.dtype(name);
    if (dtype.startsWith("F8_") && !dtype.equals(E4M3)) {
      throw new UnsupportedException(
          "%s: %s has the dtype %s; expected %s, BF16, F16 or F32"
              .formatted(source, name, dtype, E4M3));
    }
  }

  private boolean isFp8(String name) {
    return source.dtype(name).equals(E4M3);
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(names);
  }

  @Override
  public Tensor tensor(String name) {
    if (!isFp8(name)) {
      return source.tensor(name);
    }
    float scale = scale(name);
    MemorySegment bytes = source.bytes(name);
    long[] shape = source.shape(name);
    int columns = shape.length == 0 ? 1 : Math.toIntExact(bytes.byteSize() / Math.max(1, shape[0]));
    return expanded.get(
        name,
        type,
        shape,
        () ->
            row -> {
              float[] values = new float[columns];
              for (int i = 0; i < columns; i++) {
                int bits = bytes.get(ValueLayout.JAVA_BYTE, (long) row * columns + i) & 0xff;
                values[i] = VALUES[bits] * scale;
              }
              return values;
            });
  }

  private float scale(String name) {
    String scale =
        name.endsWith(WEIGHT)
            ? name.substring(0, name.length() - WEIGHT.length()) + SCALE
            : name + SCALE;
    if (!source.has(scale)) {
      return 1;
    }
    Tensor tensor = source.tensor(scale);
    if (tensor.elements() != 1) {
      throw new UnsupportedException(
          "%s: %s is %s; expected one number for the whole weight"
              .formatted(source, scale, tensor));
    }
    return tensor.toFloats()[0];
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
    if (!isFp8(name)) {
      return source.copiedBytes(name, wanted);
    }
    return madeBytes(name) + (wanted == type ? 0 : source.storedBytes(name) * wanted.bytes());
  }

  @Override
  public long madeBytes(String name) {
    return isFp8(name) ? source.storedBytes(name) * type.bytes() : source.madeBytes(name);
  }

  @Override
  public Map<String, String> metadata() {
    return source.metadata();
  }

  @Override
  public void close() {
    Resources all = new Resources();
    all.add(source);
    all.add(expanded);
    all.close();
  }

  @Override
  public String toString() {
    return source.toString();
  }
}
