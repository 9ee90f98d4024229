// The kernels of compute capability 8.0 and later, one for each element type, head dim and block.
#include "cuda/kernels/attention_sm80.cuh"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/permute.cuh"

namespace svdit::cuda {
namespace {

template <class Element, int kHeadDim, int kBlock>
AttentionKernel kernel() {
  using Attention = AttentionSm80<Element, kHeadDim, kBlock>;
  return {reinterpret_cast<const void *>(attention_sm80<Element, kHeadDim, kBlock>),
          Attention::kThreads, Attention::kSharedBytes, kBlock, 0};
}

template <class Element>
AttentionKernel kernel(int32_t head_dim, int32_t block) {
  if (head_dim == 64) return block == 64 ? kernel<Element, 64, 64>() : kernel<Element, 64, 128>();
  return block == 64 ? kernel<Element, 128, 64>() : kernel<Element, 128, 128>();
}

}  // namespace

AttentionKernel attention_kernel_sm80(uint32_t element_type, int32_t head_dim, int32_t block) {
  return element_type == SVDIT_BF16 ? kernel<Bf16>(head_dim, block) : kernel<Fp16>(head_dim, block);
}

PermuteKernel permute_kernel() {
  return {reinterpret_cast<const void *>(permute_keys), kPermuteThreads};
}

}  // namespace svdit::cuda
