package io.github.sparsevdit.tensor;

/** What a tensor's elements are, and what a plan computes in. */
public enum ElementType {
  /** bfloat16: the upper half of a float. */
  BF16(2),
  /** IEEE half precision. */
  FP16(2),
  /** IEEE single precision. */
  FP32(4),
  /**
   * 8 bits: a sign, 4 of the exponent (bias 7), 3 of the mantissa; up to 448, no infinity, one NaN
   * of each sign (Micikevicius et al., "FP8 formats for deep learning", arXiv 2209.05433). What a
   * plan may compute in, never a tensor's type: q, k, v and out of an E4M3 plan are BF16.
   *
   * <p>Such a plan rounds q, k and v to E4M3 (nearest, ties to even) before it multiplies. 64
   * consecutive tokens of a segment, as the head's order lines them up, share a scale: the least
   * power of two, from 2⁻⁶⁰ on, under which their largest |element| is at most 448. Text keys past
   * the valid ones have no part in it. The weights are rounded to E4M3 on CUDA, to BF16 on the CPU;
   * sums are fp32. On CUDA it takes compute capability 9.0. For 64 tokens that hold an infinity or
   * NaN nothing is promised.
   */
  E4M3(1);

  private static final float LARGEST_E4M3 = 448;
  private static final int LEAST_EXPONENT = -6; // of E4M3's normal numbers
  private static final int E4M3_NAN = 0x7f;

  private final int bytes;

  ElementType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes per element. */
  public int bytes() {
    return bytes;
  }

  /** The C ABI's number for it (SVDIT_BF16, SVDIT_FP16, SVDIT_FP32, SVDIT_E4M3). */
  public int code() {
    return ordinal(); // a test compares them with the bindings
  }

  /**
   * What q, k, v and out of a plan that computes in this type hold: BF16 for E4M3, else the type
   * itself.
   */
  public ElementType tensorType() {
    return this == E4M3 ? BF16 : this;
  }

  /**
   * The nearest element value to value, ties to even, as the bits of an element. Infinities and NaN
   * stay so; but E4M3 has no infinity, and what is larger than 448 becomes 448.
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
      case E4M3 -> encodeE4m3(value);
    };
  }

  /** The value of an element's bits. */
  public float decode(int bits) {
    return switch (this) {
      case BF16 -> Float.intBitsToFloat(bits << 16);
      case FP16 -> Float.float16ToFloat((short) bits);
      case FP32 -> Float.intBitsToFloat(bits);
      case E4M3 -> decodeE4m3(bits);
    };
  }

  private static int encodeE4m3(float value) {
    int sign = Float.floatToRawIntBits(value) >>> 24 & 0x80;
    if (Float.isNaN(value)) {
      return sign | E4M3_NAN;
    }
    float magnitude = Math.min(Math.abs(value), LARGEST_E4M3);
    int exponent = Math.max(Math.getExponent(magnitude), LEAST_EXPONENT);
    int eighths = (int) Math.rint(Math.scalb(magnitude, 3 - exponent));
    // 8 to 16 of a normal number, of which 8 is the bit that is not stored: exponent and mantissa
    // are one count, so a mantissa that overflows, and a denormal, come out right.
    return sign | (exponent - LEAST_EXPONENT) * 8 + eighths;
  }

  private static float decodeE4m3(int bits) {
    int exponent = bits >>> 3 & 15;
    int mantissa = bits & 7;
    float magnitude =
        (bits & 0x7f) == E4M3_NAN
            ? Float.NaN
            : exponent == 0
                ? Math.scalb((float) mantissa, LEAST_EXPONENT - 3)
                : Math.scalb(8f + mantissa, LEAST_EXPONENT - 4 + exponent);
    return (bits & 0x80) == 0 ? magnitude : -magnitude;
  }
}
