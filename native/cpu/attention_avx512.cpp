// AVX-512 without BF16: everything in fp32.
#include "cpu/tier.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace svdit {
namespace {

#include "cpu/avx512_inl.h"
#include "cpu/block_inl.h"
#include "cpu/sweep_inl.h"

}  // namespace

const TierKernels kAvx512Kernels = {
    {Kernels<Bf16, Fp32Dot>::table(), Kernels<Fp16, Fp32Dot>::table(),
     Kernels<float, Fp32Dot>::table()},
    {Sweep::snapshot, Sweep::squared_norm}};

}  // namespace svdit
#endif
