// 16 lanes of AVX-512 and the fp32 way of multiplying. Included in the anonymous namespace of both
// AVX-512 tiers.

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

struct Fp32Dot {
  static constexpr int kPack = 1;
  using Operand = F;
  static Operand load(const uint32_t *at) { return _mm512_loadu_ps(at); }
  static Operand broadcast(const uint32_t *at) { return _mm512_set1_ps(as_float(*at)); }
  static F madd(F acc, Operand a, Operand b) { return _mm512_fmadd_ps(a, b, acc); }
  static uint32_t *weights(Scratch &scratch) { return (uint32_t *)scratch.s; }

  // Relative error 1.6e-7.
  static F exp2(F x) {
    const F f = fraction(x);
    F p = set1(0x1.e974fap-10f);
    p = fma(p, f, set1(0x1.277856p-7f));
    p = fma(p, f, set1(0x1.c91ce6p-5f));
    p = fma(p, f, set1(0x1.ebdb56p-3f));
    p = fma(p, f, set1(0x1.62e4bap-1f));
    p = fma(p, f, set1(1));
    return _mm512_scalef_ps(p, x);
  }

  template <int NV>
  static void store_weights(const float *s, int, F scale, const F (&shift)[NV], F (&sum)[NV],
                            uint32_t *p) {
    repeat<NV>([&](auto v) SVDIT_LAMBDA {
      const F weight = exp2(fma(_mm512_loadu_ps(s + v.value * kLanes), scale, shift[v.value]));
      sum[v.value] = add(sum[v.value], weight);
      store(p + v.value * kLanes, weight);
    });
  }

  template <class Element>
  static void load_key(const char *row, int d, uint32_t *units) {
    for (int i = 0; i < d; i += kLanes) {
      const __mmask16 mask = tail_mask(d - i);
      _mm512_mask_storeu_ps(units + i, mask, load_elements((const Element *)row + i, mask));
    }
  }
  template <class Element>
  static void load_values(const char *const (&rows)[1], int d, uint32_t *units) {
    load_key<Element>(rows[0], d, units);
  }
};
