// The sweep of compute capability 8.0 and later, one kernel for each element type, head dim and
// block.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/sweep_sm80.cuh"

namespace svdit::cuda {
namespace {

template <class Element, int kHeadDim, int kBlock>
SweepKernel kernel() {
  using Sweep = SweepSm80<Element, kHeadDim, kBlock>;
  return {reinterpret_cast<const void *>(sweep_sm80<Element, kHeadDim, kBlock>), Sweep::kThreads,
          Sweep::kSharedBytes};
}

template <class Element>
SweepKernel kernel(int32_t head_dim, int32_t block) {
  if (head_dim == 64) return block == 64 ? kernel<Element, 64, 64>() : kernel<Element, 64, 128>();
  return block == 64 ? kernel<Element, 128, 64>() : kernel<Element, 128, 128>();
}

}  // namespace

SweepKernel sweep_kernel_sm80(uint32_t element_type, int32_t head_dim, int32_t block) {
  return element_type == SVDIT_BF16 ? kernel<Bf16>(head_dim, block) : kernel<Fp16>(head_dim, block);
}

}  // namespace svdit::cuda
