// The tier every machine runs: 4 lanes as GCC and Clang's own vectors, which baseline x86-64 has as
// SSE2 and other processors as what they have.
#include "base/bf16.h"
#include "cpu/attention/tier.h"

namespace svdit {
namespace {

#include "cpu/attention/element_inl.h"
#include "cpu/attention/scalar_rows_inl.h"
#include "cpu/attention/unroll_inl.h"

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

#include "cpu/attention/fp32_dot_inl.h"

struct Fp32Dot : Fp32Units<Fp32Dot> {
  // 2^x: 2^floor(x) by the exponent bits. Below -126 it stays 2^-126; NaN and +inf give NaN, to
  // which adding the exponent may have given a number's bits.
  static F exp2(F x) {
    x = max(set1(-126), x);
    const F magic = set1(0x1.8p23f);  // adding it rounds to an integer in the low bits
    const F rounded = (x - set1(0.5f)) + magic;
    const F f = x - (rounded - magic);
    const I nan = f != f;
    return (F)(((I)exp2_fraction(f) + ((I)rounded << 23)) | nan);
  }

  template <class Element>
  static void load_key(const char *row, int d, uint32_t *units) {
    for (int i = 0; i < d; ++i) units[i] = as_bits(element_at<Element>(row, i));
  }
};

#include "cpu/attention/block_inl.h"
#include "cpu/attention/sweep_inl.h"

}  // namespace

extern const TierKernels kPortableKernels = {
    {Kernels<Bf16, Fp32Dot>::table(), Kernels<Fp16, Fp32Dot>::table(),
     Kernels<float, Fp32Dot>::table()},
    {Sweep::snapshot, Sweep::squared_norm}};

}  // namespace svdit
