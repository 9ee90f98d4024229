package io.github.sparsevdit.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Copies and conversions between strided host views. Offsets are bytes, strides elements. */
final class StridedCopy {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED; // a mapped file may be unaligned
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

  private StridedCopy() {}

  /**
   * Handles one row: {@code count} elements from a place in each view, given in bytes, {@code step}
   * bytes apart.
   */
  private interface Row {
    void apply(long a, long stepA, long b, long stepB, long count);
  }

  static void copy(
      MemorySegment from,
      long fromOffset,
      long[] fromStrides,
      MemorySegment to,
      long toOffset,
      long[] toStrides,
      long[] shape,
      ElementType type) {
    int bytes = type.bytes();
    rows(
        shape,
        fromOffset,
        fromStrides,
        toOffset,
        toStrides,
        bytes,
        (a, stepA, b, stepB, count) -> {
          if (stepA == bytes && stepB == bytes) {
            MemorySegment.copy(from, a, to, b, count * bytes);
          } else if (bytes == 2) {
            for (long i = 0; i < count; i++) {
              to.set(SHORT, b + i * stepB, from.get(SHORT, a + i * stepA));
            }
          } else {
            for (long i = 0; i < count; i++) {
              to.set(INT, b + i * stepB, from.get(INT, a + i * stepA));
            }
          }
        });
  }

  static void encode(
      float[] values,
      MemorySegment to,
      long toOffset,
      long[] strides,
      long[] shape,
      ElementType type) {
    rows(
        shape,
        0,
        packed(shape),
        toOffset,
        strides,
        type.bytes(),
        (a, stepA, b, stepB, count) -> {
          int first = (int) (a / type.bytes());
          for (int i = 0; i < count; i++) {
            int bits = type.encode(values[first + i]);
            if (type.bytes() == 2) {
              to.set(SHORT, b + i * stepB, (short) bits);
            } else {
              to.set(INT, b + i * stepB, bits);
            }
          }
        });
  }

  static float[] decode(
      MemorySegment from, long fromOffset, long[] strides, long[] shape, ElementType type) {
    long elements = 1;
    for (long size : shape) {
      elements *= size; // no overflow: a tensor's sizes but zeros multiply to less than 2^63
    }
    float[] values = new float[Math.toIntExact(elements)];
    rows(
        shape,
        fromOffset,
        strides,
        0,
        packed(shape),
        type.bytes(),
        (a, stepA, b, stepB, count) -> {
          int first = (int) (b / type.bytes());
          for (int i = 0; i < count; i++) {
            int bits =
                type.bytes() == 2 ? from.get(SHORT, a + i * stepA) : from.get(INT, a + i * stepA);
            values[first + i] = type.decode(bits);
          }
        });
    return values;
  }

  private static long[] packed(long[] shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int dim = shape.length - 1; dim >= 0; dim--) {
      strides[dim] = stride;
      stride *= shape[dim];
    }
    return strides;
  }

  /**
   * Walks both views in row-major order, a row (as many inner dimensions as lie in line) at a time.
   */
  private static void rows(
      long[] shape, long aBase, long[] aStrides, long bBase, long[] bStrides, int bytes, Row row) {
    int inner = shape.length - 1;
    long count = inner < 0 ? 1 : shape[inner];
    long stepA = inner < 0 ? 1 : aStrides[inner];
    long stepB = inner < 0 ? 1 : bStrides[inner];
    while (inner > 0
        && aStrides[inner - 1] == stepA * count
        && bStrides[inner - 1] == stepB * count) {
      count *= shape[--inner];
    }
    long rows = 1;
    for (int dim = 0; dim < inner; dim++) {
      rows *= shape[dim];
    }
    if (count == 0) {
      return;
    }
    for (long index = 0; index < rows; index++) {
      long a = 0;
      long b = 0;
      long rest = index;
      for (int dim = inner - 1; dim >= 0; dim--) {
        long at = rest % shape[dim];
        rest /= shape[dim];
        a += at * aStrides[dim];
        b += at * bStrides[dim];
      }
      row.apply(aBase + a * bytes, stepA * bytes, bBase + b * bytes, stepB * bytes, count);
    }
  }
}
