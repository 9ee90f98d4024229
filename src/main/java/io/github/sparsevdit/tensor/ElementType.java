package io.github.sparsevdit.tensor;

/** What a tensor's elements are. */
public enum ElementType {
  /** bfloat16: the upper half of a float. */
  BF16(2),
  /** IEEE half precision. */
  FP16(2),
  /** IEEE single precision. */
  FP32(4);

  private final int bytes;

  ElementType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes per element. */
  public int bytes() {
    return bytes;
  }

  /** The C ABI's number for it (SVDIT_BF16, SVDIT_FP16, SVDIT_FP32). */
  public int code() {
    return ordinal(); // a test compares them with the bindings
  }

  /**
   * The nearest element value to value, ties to even, as the bits of an element; infinities and NaN
   * stay so.
   */
  public int encode(float value) {
    return switch (this) {
      case BF16 -> {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
          yield (bits >>> 16)
              | 0x40; // quiet, so that cutting the payload cannot make an infinity of it
        }
        yield (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
      }
      case FP16 -> Float.floatToFloat16(value) & 0xffff;
      case FP32 -> Float.floatToRawIntBits(value);
    };
  }

  /** The value of an element's bits. */
  public float decode(int bits) {
    return switch (this) {
      case BF16 -> Float.intBitsToFloat(bits << 16);
      case FP16 -> Float.float16ToFloat((short) bits);
      case FP32 -> Float.intBitsToFloat(bits);
    };
  }
}
