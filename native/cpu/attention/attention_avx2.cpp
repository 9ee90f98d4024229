// AVX2 with FMA and F16C: 8 lanes, everything in fp32.
//
// Compiled with: -mavx2 -mfma -mf16c
#include "base/bf16.h"
#include "cpu/attention/tier.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace svdit {
namespace {

#include "cpu/attention/element_inl.h"
#include "cpu/attention/scalar_rows_inl.h"
#include "cpu/attention/unroll_inl.h"

constexpr int kLanes = 8;
typedef __m256 F;

inline F load(const void *at) { return _mm256_loadu_ps((const float *)at); }
inline void store(void *at, F x) { _mm256_storeu_ps((float *)at, x); }
inline F set1(float x) { return _mm256_set1_ps(x); }
inline F add(F a, F b) { return _mm256_add_ps(a, b); }
inline F sub(F a, F b) { return _mm256_sub_ps(a, b); }
inline F mul(F a, F b) { return _mm256_mul_ps(a, b); }
inline F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
inline F max(F a, F b) { return _mm256_max_ps(a, b); }
inline bool any_greater(F a, F b) {
  return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
}

inline F load_elements(const float *row) { return _mm256_loadu_ps(row); }
inline F load_elements(const Bf16 *row) {
  const __m128i bits = _mm_loadu_si128((const __m128i *)row);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline F load_elements(const Fp16 *row) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)row));
}

// 16 queries by 6 keys fill 12 of the 16 registers.
struct Groups {
  template <int NV>
  static constexpr int kKeyRows = 6;
  template <int NV>
  static constexpr int kValueRows = 4;
  template <class Body>
  static int dispatch(int, int lane, Body &&body) {
    return body(Index<2>{}, lane), 2;
  }
};

#include "cpu/attention/fp32_dot_inl.h"

struct Fp32Dot : Fp32Units<Fp32Dot> {
  // 2^x: 2^floor(x) by the exponent bits. Below -126 it stays 2^-126; NaN and +inf give NaN, whose
  // integer, 2^31, has no bit left once it is shifted.
  static F exp2(F x) {
    x = max(set1(-126), x);
    const F whole = _mm256_floor_ps(x);
    const F f = sub(x, whole);
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(exp2_fraction(f)), exponent));
  }

  template <class Element>
  static void load_key(const char *row, int d, uint32_t *units) {
    for (int i = 0; i < d; i += kLanes) {
      store(units + i, load_elements((const Element *)row + i));
    }
  }
};

#include "cpu/attention/block_inl.h"
#include "cpu/attention/sweep_inl.h"

}  // namespace

extern const TierKernels kAvx2Kernels = {
    {Kernels<Bf16, Fp32Dot>::table(), Kernels<Fp16, Fp32Dot>::table(),
     Kernels<float, Fp32Dot>::table()},
    {Sweep::snapshot, Sweep::squared_norm}};

}  // namespace svdit
#endif
