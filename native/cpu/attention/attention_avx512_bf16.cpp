// AVX-512 with BF16: bf16 elements are multiplied in pairs, the others as in the AVX-512 tier.
//
// Compiled with: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mavx512bf16
// Compiled with: -Wno-uninitialized -Wno-maybe-uninitialized
// (gcc 12 warns of its own headers' _mm512_undefined: PR 105593.)
#include "base/bf16.h"
#include "cpu/attention/tier.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace svdit {
namespace {

#include "cpu/attention/avx512_inl.h"

struct Bf16Dot {
  static constexpr int kPack = 2;
  static constexpr int kSigns = (int)0x80008000;
  using Operand = __m512i;

  template <class Element>
  static F load_units(const char *row, int u, int units) {
    const __mmask16 mask = units - u >= kLanes ? 0xFFFF : (__mmask16)((1 << (units - u)) - 1);
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi32(mask, row + 4 * u));
  }

  static Operand load(const uint32_t *at) { return _mm512_loadu_si512(at); }
  static Operand broadcast(const uint32_t *at) { return _mm512_set1_epi32((int)*at); }
  static F madd(F acc, Operand a, Operand b) {
    return _mm512_dpbf16_ps(acc, (__m512bh)a, (__m512bh)b);
  }
  static uint32_t *weights(Scratch &scratch) { return scratch.p; }

  // Relative error 3e-6, far below the rounding of the weights to bf16.
  static F exp2(F x) {
    const F f = fraction(x);
    F p = set1(0x1.b7f73p-7f);
    p = fma(p, f, set1(0x1.abf868p-5f));
    p = fma(p, f, set1(0x1.ee245p-3f));
    p = fma(p, f, set1(0x1.62d6c6p-1f));
    p = fma(p, f, set1(1));
    return _mm512_scalef_ps(p, x);
  }

  // Two keys' weights, rounded and interleaved query by query; past the last key they are 0.
  template <int NV>
  static void store_weights(const float *s, int left, F scale, const F (&shift)[NV], F (&sum)[NV],
                            uint32_t *p) {
    const __m512i interleave =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    repeat<NV>([&](auto v) SVDIT_LAMBDA {
      const float *at = s + v.value * kLanes;
      const F a = exp2(fma(_mm512_loadu_ps(at), scale, shift[v.value]));
      const F b =
          left > 1 ? exp2(fma(_mm512_loadu_ps(at + NV * kLanes), scale, shift[v.value])) : set1(0);
      sum[v.value] = add(sum[v.value], add(a, b));
      const __m512i pair = (__m512i)_mm512_cvtne2ps_pbh(b, a);
      _mm512_storeu_si512(p + v.value * kLanes, _mm512_permutexvar_epi16(interleave, pair));
    });
  }

  template <class Element>
  static void load_key(const char *row, int d, uint32_t *units) {
    for (int i = 0; i < d; i += 2 * kLanes) {
      const __mmask32 mask = d - i >= 2 * kLanes ? ~0u : (1u << (d - i)) - 1;
      const __m512i x = _mm512_maskz_loadu_epi16(mask, (const Bf16 *)row + i);
      _mm512_mask_storeu_epi16(units + i / 2, mask, x);
    }
  }

  static __m512i half_row(const char *row, int i, __mmask16 mask) {
    if (row == nullptr) return _mm512_setzero_si512();
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, (const Bf16 *)row + i));
  }
  // Two rows interleaved element by element.
  template <class Element>
  static void load_values(const char *const (&rows)[2], int d, uint32_t *units) {
    for (int i = 0; i < d; i += kLanes) {
      const __mmask16 mask = tail_mask(d - i);
      const __m512i low = half_row(rows[0], i, mask);
      const __m512i high = _mm512_slli_epi32(half_row(rows[1], i, mask), 16);
      _mm512_mask_storeu_epi32(units + i, mask, _mm512_or_si512(low, high));
    }
  }
};

#include "cpu/attention/block_inl.h"
#include "cpu/attention/sweep_inl.h"

}  // namespace

extern const TierKernels kAvx512Bf16Kernels = {
    {Kernels<Bf16, Bf16Dot>::table(), Kernels<Fp16, Fp32Dot>::table(),
     Kernels<float, Fp32Dot>::table()},
    {Sweep::snapshot, Sweep::squared_norm}};

}  // namespace svdit
#endif
