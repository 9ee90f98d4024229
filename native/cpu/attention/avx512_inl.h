// 16 lanes of AVX-512 and the fp32 way of multiplying. Included in the anonymous namespace of both
// AVX-512 tiers.

#include "cpu/attention/element_inl.h"
#include "cpu/attention/unroll_inl.h"

constexpr int kLanes = 16;
typedef __m512 F;

inline F load(const void *at) { return _mm512_loadu_ps(at); }
inline void store(void *at, F x) { _mm512_storeu_ps(at, x); }
inline F set1(float x) { return _mm512_set1_ps(x); }
inline F add(F a, F b) { return _mm512_add_ps(a, b); }
inline F sub(F a, F b) { return _mm512_sub_ps(a, b); }
inline F mul(F a, F b) { return _mm512_mul_ps(a, b); }
inline F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
inline F max(F a, F b) { return _mm512_max_ps(a, b); }
inline bool any_greater(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }

// x minus its floor: what is left for the polynomial once scalef has taken the integer.
inline F fraction(F x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }

// Groups of 64, 32 or 16 queries, so that small blocks and tails do not compute idle lanes.
struct Groups {
  template <int NV>
  static constexpr int kKeyRows = NV == 4 ? 6 : 8;
  template <int NV>
  static constexpr int kValueRows = NV == 4 ? 4 : 8;
  template <class Body>
  static int dispatch(int left, int lane, Body &&body) {
    if (left > 2 * kLanes) return body(Index<4>{}, lane), 4;
    if (left > kLanes) return body(Index<2>{}, lane), 2;
    return body(Index<1>{}, lane), 1;
  }
};

// Rows are read 16 elements at a time; a row of 8 k elements ends in a half that is read under a
// mask, never beyond.
inline __mmask16 tail_mask(int left) { return left >= kLanes ? 0xFFFF : (__mmask16)0xFF; }

inline F load_elements(const float *row, __mmask16 mask) {
  return _mm512_maskz_loadu_ps(mask, row);
}
inline F load_elements(const Bf16 *row, __mmask16 mask) {
  const __m256i bits = _mm256_maskz_loadu_epi16(mask, row);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
inline F load_elements(const Fp16 *row, __mmask16 mask) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row));
}

inline void store_elements(float *row, F x, __mmask16 mask) { _mm512_mask_storeu_ps(row, mask, x); }
inline void store_elements(Bf16 *row, F x, __mmask16 mask) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  const __m256i halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
  _mm256_mask_storeu_epi16(row, mask, halves);
}
inline void store_elements(Fp16 *row, F x, __mmask16 mask) {
  const __m256i halves = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_mask_storeu_epi16(row, mask, halves);
}

// 16 rows of 16 units become 16 columns.
inline void transpose(F (&x)[16]) {
  F y[16];
  repeat<8>([&](auto i) SVDIT_LAMBDA {
    y[2 * i.value] = _mm512_unpacklo_ps(x[2 * i.value], x[2 * i.value + 1]);
    y[2 * i.value + 1] = _mm512_unpackhi_ps(x[2 * i.value], x[2 * i.value + 1]);
  });
  const auto pairs = [](F a, F b, auto high) SVDIT_LAMBDA {
    const __m512d p = _mm512_castps_pd(a), q = _mm512_castps_pd(b);
    return _mm512_castpd_ps(high.value ? _mm512_unpackhi_pd(p, q) : _mm512_unpacklo_pd(p, q));
  };
  repeat<4>([&](auto i)
                SVDIT_LAMBDA {  // x[4 i + j]: column j of each quarter of rows 4 i .. 4 i + 3
                  x[4 * i.value] = pairs(y[4 * i.value], y[4 * i.value + 2], Index<0>{});
                  x[4 * i.value + 1] = pairs(y[4 * i.value], y[4 * i.value + 2], Index<1>{});
                  x[4 * i.value + 2] = pairs(y[4 * i.value + 1], y[4 * i.value + 3], Index<0>{});
                  x[4 * i.value + 3] = pairs(y[4 * i.value + 1], y[4 * i.value + 3], Index<1>{});
                });
  repeat<4>([&](auto j) SVDIT_LAMBDA {
    const F a = _mm512_shuffle_f32x4(x[j.value], x[j.value + 4], 0x88);
    const F b = _mm512_shuffle_f32x4(x[j.value], x[j.value + 4], 0xDD);
    const F c = _mm512_shuffle_f32x4(x[j.value + 8], x[j.value + 12], 0x88);
    const F d = _mm512_shuffle_f32x4(x[j.value + 8], x[j.value + 12], 0xDD);
    y[j.value] = _mm512_shuffle_f32x4(a, c, 0x88);
    y[j.value + 8] = _mm512_shuffle_f32x4(a, c, 0xDD);
    y[j.value + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
    y[j.value + 12] = _mm512_shuffle_f32x4(b, d, 0xDD);
  });
  repeat<16>([&](auto i) SVDIT_LAMBDA { x[i.value] = y[i.value]; });
}

// Q of one group as [unit][lane]; lanes past count are 0. Scores of -q and scale are those of q and
// -scale.
template <class Element, class Dot, int kWidth>
inline void pack_queries(const BlockTask &task, const int32_t *tokens, int count, int d,
                         bool negate, uint32_t *q) {
  const int units = d / Dot::kPack;
  const __m512i signs = _mm512_set1_epi32(negate ? Dot::kSigns : 0);
  for (int lane = 0; lane < kWidth; lane += kLanes) {
    for (int u = 0; u < units; u += kLanes) {
      F x[kLanes];
      repeat<kLanes>([&](auto i) SVDIT_LAMBDA {
        x[i.value] = set1(0);
        if (lane + i.value < count) {
          const char *row = task.q.data + tokens[lane + i.value] * task.q.stride;
          const F loaded = Dot::template load_units<Element>(row, u, units);
          x[i.value] = _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(loaded), signs));
        }
      });
      transpose(x);
      for (int i = 0; i < kLanes && u + i < units; ++i) store(q + (u + i) * kWidth + lane, x[i]);
    }
  }
}

// Writes rows first .. first + count - 1 of a result from o [d][lane], each times its inverse sum;
// o NULL means 0.
template <class Out, int kWidth>
inline void write_rows(const BlockResult &result, int first, int count, int d, const float *o,
                       const float *inverse) {
  for (int lane = 0; lane < count; lane += kLanes) {
    const F factor = load(inverse + lane);
    for (int i = 0; i < d; i += kLanes) {
      F x[kLanes];
      repeat<kLanes>([&](auto j) SVDIT_LAMBDA {
        const bool there = o != nullptr && i + j.value < d;
        x[j.value] = there ? mul(load(o + (i + j.value) * kWidth + lane), factor) : set1(0);
      });
      transpose(x);
      const __mmask16 mask = tail_mask(d - i);
      for (int j = 0; j < kLanes && lane + j < count; ++j) {
        char *row = result.out.data + result.tokens[first + lane + j] * result.out.stride;
        store_elements((Out *)row + i, x[j], mask);
      }
    }
  }
}

#include "cpu/attention/fp32_dot_inl.h"

struct Fp32Dot : Fp32Units<Fp32Dot> {
  static constexpr int kSigns = INT32_MIN;  // flips the sign of a unit

  // Units u .. u + 15 of a row, as far as there are any.
  template <class Element>
  static F load_units(const char *row, int u, int units) {
    return load_elements((const Element *)row + u, tail_mask(units - u));
  }

  static F exp2(F x) { return _mm512_scalef_ps(exp2_fraction(fraction(x)), x); }

  template <class Element>
  static void load_key(const char *row, int d, uint32_t *units) {
    for (int i = 0; i < d; i += kLanes) {
      const __mmask16 mask = tail_mask(d - i);
      _mm512_mask_storeu_ps(units + i, mask, load_elements((const Element *)row + i, mask));
    }
  }
};
