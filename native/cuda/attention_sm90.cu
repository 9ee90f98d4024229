// The kernels of compute capability 9.0, one for each element type, head dim and block.
#include "cuda/attention_sm90.cuh"
#include "cuda/kernels.h"

namespace svdit::cuda {
namespace {

template <class Element, int kHeadDim, int kBlock>
AttentionKernel kernel() {
  using Shape = ShapeSm90<Element, kHeadDim, kBlock>;
  return {reinterpret_cast<const void *>(attention_sm90<Element, kHeadDim, kBlock>),
          Shape::kThreads, Shape::kSharedBytes, Shape::kStrips * kStripRows, Shape::kTile};
}

template <class Element>
AttentionKernel kernel(int32_t head_dim, int32_t block) {
  if (head_dim == 64) return block == 64 ? kernel<Element, 64, 64>() : kernel<Element, 64, 128>();
  return block == 64 ? kernel<Element, 128, 64>() : kernel<Element, 128, 128>();
}

}  // namespace

AttentionKernel attention_kernel_sm90(uint32_t element_type, int32_t head_dim, int32_t block) {
  return element_type == SVDIT_BF16 ? kernel<Bf16Sm90>(head_dim, block)
                                    : kernel<Fp16Sm90>(head_dim, block);
}

}  // namespace svdit::cuda
