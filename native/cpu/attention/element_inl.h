// Element types and their scalar conversions. Included in a tier's anonymous namespace, after
// base/bf16.h.

struct Bf16 {
  uint16_t bits;
};
struct Fp16 {
  uint16_t bits;
};

inline float as_float(uint32_t bits) {
  float f;
  __builtin_memcpy(&f, &bits, 4);
  return f;
}
inline uint32_t as_bits(float f) {
  uint32_t bits;
  __builtin_memcpy(&bits, &f, 4);
  return bits;
}

inline float to_float(float x) { return x; }
inline float to_float(Bf16 x) { return from_bf16(x.bits); }
inline float to_float(Fp16 x) {
  const uint32_t sign = (uint32_t)(x.bits & 0x8000) << 16, magnitude = x.bits & 0x7FFF;
  if (magnitude >= 0x7C00) return as_float(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
  // Shifted into place the exponent is 112 too small; multiplying corrects it, for subnormals too.
  return as_float(sign | as_bits(as_float(magnitude << 13) * 0x1p112f));
}

// Round to nearest, ties to even; NaN stays NaN.
inline void from_float(float x, float *out) { *out = x; }
inline void from_float(float x, Bf16 *out) { out->bits = to_bf16(x); }
inline void from_float(float x, Fp16 *out) {
  const uint32_t bits = as_bits(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  uint32_t half;
  if (magnitude > 0x7F800000) {
    half = 0x7E00;
  } else if (magnitude >= 0x477FF000) {  // 65520 rounds to infinity
    half = 0x7C00;
  } else if (magnitude < 0x38800000) {  // subnormal: let the addition round at 2^-24
    half = as_bits(as_float(magnitude) + 0.5f) - as_bits(0.5f);
  } else {
    half = (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13;
  }
  out->bits = (uint16_t)(sign | half);
}
