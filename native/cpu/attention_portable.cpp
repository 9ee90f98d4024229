// The tier every machine runs: 4 lanes as GCC and Clang's own vectors, which baseline x86-64 has as
// SSE2 and other processors as what they have.
#include "cpu/tier.h"

namespace svdit {
namespace {

#include "cpu/element_inl.h"
#include "cpu/unroll_inl.h"

constexpr int kLanes = 4;
typedef float F __attribute__((vector_size(16)));
typedef int32_t I __attribute__((vector_size(16)));

inline F load(const void *at) {
  F x;
  __builtin_memcpy(&x, at, sizeof x);
  return x;
}
inline void store(void *at, F x) { __builtin_memcpy(at, &x, sizeof x); }
inline F set1(float x) { return F{x, x, x, x}; }
inline F add(F a, F b) { return a + b; }
inline F sub(F a, F b) { return a - b; }
inline F mul(F a, F b) { return a * b; }
inline F fma(F a, F b, F c) { return a * b + c; }
inline F max(F a, F b) { return a > b ? a : b; }
inline bool any_greater(F a, F b) {
  const I greater = a > b;
  return (greater[0] | greater[1] | greater[2] | greater[3]) != 0;
}

struct Groups {
  template <int NV>
  static constexpr int kKeyRows = 4;
  template <int NV>
  static constexpr int kValueRows = 4;
  template <class Body>
  static int dispatch(int, int lane, Body &&body) {
    body(Index<2>{}, lane);
    return 2;
  }
};

struct Fp32Dot {
  static constexpr int kPack = 1;
  using Operand = F;
  static Operand load(const uint32_t *at) { return ::svdit::load(at); }
  static Operand broadcast(const uint32_t *at) { return set1(as_float(*at)); }
  static F madd(F acc, Operand a, Operand b) { return acc + a * b; }
  static uint32_t *weights(Scratch &scratch) { return (uint32_t *)scratch.s; }

  // 2^x: 2^floor(x) by the exponent bits, the rest by a polynomial with relative error 1.6e-7.
  // Below -126 it stays 2^-126.
  static F exp2(F x) {
    x = max(x, set1(-126));
    const F magic = set1(0x1.8p23f);  // adding it rounds to an integer in the low bits
    const F rounded = (x - set1(0.5f)) + magic;
    const F f = x - (rounded - magic);
    F p = set1(0x1.e974fap-10f);
    p = fma(p, f, set1(0x1.277856p-7f));
    p = fma(p, f, set1(0x1.c91ce6p-5f));
    p = fma(p, f, set1(0x1.ebdb56p-3f));
    p = fma(p, f, set1(0x1.62e4bap-1f));
    p = fma(p, f, set1(1));
    return (F)((I)p + ((I)rounded << 23));
  }

  template <int NV>
  static void store_weights(const float *s, int, F scale, const F (&shift)[NV], F (&sum)[NV],
                            uint32_t *p) {
    for (int v = 0; v < NV; ++v) {
      const F weight = exp2(fma(::svdit::load(s + v * kLanes), scale, shift[v]));
      sum[v] = add(sum[v], weight);
      store(p + v * kLanes, weight);
    }
  }

  template <class Element>
  static void load_key(const char *row, int d, uint32_t *units) {
    for (int i = 0; i < d; ++i) units[i] = as_bits(element_at<Element>(row, i));
  }
  template <class Element>
  static void load_values(const char *const (&rows)[1], int d, uint32_t *units) {
    load_key<Element>(rows[0], d, units);
  }
};

template <class Element, class Dot, int kWidth>
void pack_queries(const BlockTask &task, const int32_t *tokens, int count, int d, bool negate,
                  uint32_t *q) {
  pack_queries_fp32<Element, kWidth>(task, tokens, count, d, negate, q);
}

template <class Out, int kWidth>
void write_rows(const BlockResult &result, int first, int count, int d, const float *o,
                const float *inverse) {
  write_rows_scalar<Out, kWidth>(result, first, count, d, o, inverse);
}

#include "cpu/block_inl.h"
#include "cpu/sweep_inl.h"

}  // namespace

const TierKernels kPortableKernels = {
    {Kernels<Bf16, Fp32Dot>::table(), Kernels<Fp16, Fp32Dot>::table(),
     Kernels<float, Fp32Dot>::table()},
    {Sweep::snapshot, Sweep::squared_norm}};

}  // namespace svdit
