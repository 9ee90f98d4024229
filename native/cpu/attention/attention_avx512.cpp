// AVX-512 without BF16: everything in fp32.
//
// Compiled with: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c
// Compiled with: -Wno-uninitialized -Wno-maybe-uninitialized
// (gcc 12 warns of its own headers' _mm512_undefined: PR 105593.)
#include "base/bf16.h"
#include "cpu/attention/tier.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace svdit {
namespace {

#include "cpu/attention/avx512_inl.h"
#include "cpu/attention/block_inl.h"
#include "cpu/attention/sweep_inl.h"

}  // namespace

extern const TierKernels kAvx512Kernels = {
    {Kernels<Bf16, Fp32Dot>::table(), Kernels<Fp16, Fp32Dot>::table(),
     Kernels<float, Fp32Dot>::table()},
    {Sweep::snapshot, Sweep::squared_norm}};

}  // namespace svdit
#endif
