package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.OutOfNativeMemoryException;
import io.github.sparsevdit.internal.SharedArena;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/** Tensors that are computed row by row when they are first asked for, and stay until closed. */
final class MadeTensors implements AutoCloseable {
  private static final long ALIGNMENT = 64;

  private final SharedArena arena = new SharedArena();
  private final Map<String, Tensor> made = new HashMap<>();

  /**
   * The tensor of that name.
   *
   * @param type that it is rounded to
   * @param rows what computes its rows, asked for once: the elements of all dimensions but the
   *     first
   */
  synchronized Tensor get(
      String name, ElementType type, long[] shape, Supplier<IntFunction<float[]>> rows) {
    return made.computeIfAbsent(name, unused -> make(name, type, shape, rows.get()));
  }

  private Tensor make(String name, ElementType type, long[] shape, IntFunction<float[]> row) {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    int rows = shape.length == 0 ? 1 : Math.toIntExact(shape[0]);
    int columns = rows == 0 ? 0 : Math.toIntExact(elements / rows);
    MemorySegment to = allocate(name, elements * type.bytes());
    IntStream.range(0, rows)
        .parallel()
        .forEach(index -> write(row.apply(index), type, to, (long) index * columns));
    return Tensor.of(to, type, shape);
  }

  private MemorySegment allocate(String name, long bytes) {
    try {
      return arena.arena().allocate(bytes, ALIGNMENT);
    } catch (OutOfMemoryError e) {
      throw new OutOfNativeMemoryException(
          "there is no memory for the %d bytes of weight %s".formatted(bytes, name));
    }
  }

  private static void write(float[] values, ElementType type, MemorySegment to, long at) {
    for (int i = 0; i < values.length; i++) {
      if (type == ElementType.FP32) {
        to.setAtIndex(ValueLayout.JAVA_FLOAT, at + i, values[i]);
      } else {
        to.setAtIndex(ValueLayout.JAVA_SHORT, at + i, (short) type.encode(values[i]));
      }
    }
  }

  @Override
  public void close() {
    arena.closeOnce();
  }
}
