package io.github.sparsevdit.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Looks for elements that are no finite numbers, eight bytes at a time: an element is NaN or
 * infinite if all bits of its exponent are set, so that the lowest of them, added, carries into the
 * sign.
 */
final class FiniteScan {
  private FiniteScan() {}

  /** The first of so many elements from a byte offset on; −1 if all are finite. */
  static long first(MemorySegment memory, long offset, long elements, ElementType type) {
    long exponent =
        switch (type) {
          case BF16 -> 0x7f80_7f80_7f80_7f80L;
          case FP16 -> 0x7c00_7c00_7c00_7c00L;
          case FP32 -> 0x7f80_0000_7f80_0000L;
          case E4M3 -> throw new IllegalArgumentException("no tensor is of " + type);
        };
    long lowest = exponent & ~(exponent << 1);
    long signs = type.bytes() == 2 ? 0x8000_8000_8000_8000L : 0x8000_0000_8000_0000L;
    int each = Long.BYTES / type.bytes();
    long whole = elements - elements % each;
    for (long i = 0; i < whole; i += each) {
      long bits = memory.get(ValueLayout.JAVA_LONG_UNALIGNED, offset + i * type.bytes());
      if (((bits & exponent) + lowest & signs) != 0) {
        return firstOf(memory, offset, i, i + each, type);
      }
    }
    return firstOf(memory, offset, whole, elements, type);
  }

  private static long firstOf(
      MemorySegment memory, long offset, long from, long to, ElementType type) {
    for (long i = from; i < to; i++) {
      int bits =
          type.bytes() == 2
              ? memory.get(ValueLayout.JAVA_SHORT_UNALIGNED, offset + i * 2) & 0xffff
              : memory.get(ValueLayout.JAVA_INT_UNALIGNED, offset + i * 4);
      if (!Float.isFinite(type.decode(bits))) {
        return i;
      }
    }
    return -1;
  }
}
