package io.github.sparsevdit.tensor;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/** Strides that come from outside. */
final class Strides {
  private Strides() {}

  /**
   * The bytes from the first element's begin to the last one's end, of a shape that passed;
   * IllegalArgumentException for strides that are negative, overlap, or leave the last dimension
   * with gaps.
   *
   * @param contiguousBytes what the shape takes without gaps
   */
  static long spanBytes(ElementType type, long contiguousBytes, long[] shape, long[] strides) {
    if (shape.length != strides.length) {
      throw new IllegalArgumentException(
          "a tensor "
              + Arrays.toString(shape)
              + " has a stride for each dimension; given were "
              + Arrays.toString(strides));
    }
    for (int dim = 0; dim < shape.length; dim++) {
      if (strides[dim] < 0) {
        throw refused(shape, strides, "dimension " + dim + " goes backwards; expected 0 or more");
      }
    }
    int last = shape.length - 1;
    if (last >= 0 && shape[last] > 1 && strides[last] != 1) {
      throw refused(
          shape, strides, "the last dimension has stride " + strides[last] + "; expected 1");
    }
    if (contiguousBytes == 0) {
      return 0;
    }
    // From the smallest stride up, each steps over all below it.
    int[] dims =
        IntStream.range(0, shape.length)
            .filter(dim -> shape[dim] > 1)
            .boxed()
            .sorted(Comparator.comparingLong(dim -> strides[dim]))
            .mapToInt(Integer::intValue)
            .toArray();
    long reach = 1; // elements
    try {
      for (int dim : dims) {
        if (strides[dim] < reach) {
          throw refused(
              shape,
              strides,
              "elements overlap along dimension "
                  + dim
                  + ", which has stride "
                  + strides[dim]
                  + "; expected at least "
                  + reach);
        }
        reach = Math.addExact(reach, Math.multiplyExact(shape[dim] - 1, strides[dim]));
      }
      return Math.multiplyExact(reach, (long) type.bytes());
    } catch (ArithmeticException overflow) {
      throw refused(shape, strides, "it reaches over more than 2^63 bytes");
    }
  }

  private static IllegalArgumentException refused(long[] shape, long[] strides, String why) {
    return new IllegalArgumentException(
        "a tensor "
            + Arrays.toString(shape)
            + " with strides "
            + Arrays.toString(strides)
            + ": "
            + why);
  }
}
