// AVX-512 without BF16: everything in fp32.
#include "cpu/tier.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace svdit {
namespace {

#include "cpu/element_inl.h"
#include "cpu/unroll_inl.h"
#include "cpu/vector_avx512_inl.h"

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

}  // namespace

const TierKernels kAvx512Kernels = {{Kernels<Bf16, Fp32Dot>::table(),
                                     Kernels<Fp16, Fp32Dot>::table(),
                                     Kernels<float, Fp32Dot>::table()}};

}  // namespace svdit
#endif
