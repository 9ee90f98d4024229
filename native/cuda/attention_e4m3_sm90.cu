// The e4m3 kernels of compute capability 9.0, one for each head dim and block, and what rounds
// their operands.
#include "cuda/attention_e4m3_sm90.cuh"
#include "cuda/kernels.h"
#include "cuda/quantise_e4m3.cuh"

namespace svdit::cuda {
namespace {

template <int kHeadDim, int kBlock>
AttentionKernel kernel() {
  using Shape = ShapeE4m3<kHeadDim, kBlock>;
  return {reinterpret_cast<const void *>(attention_e4m3_sm90<kHeadDim, kBlock>), Shape::kThreads,
          Shape::kSharedBytes, Shape::kStrips * kStripRows, 0};
}

}  // namespace

AttentionKernel attention_kernel_e4m3(int32_t head_dim, int32_t block) {
  if (head_dim == 64) return block == 64 ? kernel<64, 64>() : kernel<64, 128>();
  return block == 64 ? kernel<128, 64>() : kernel<128, 128>();
}

QuantiseKernel quantise_kernel(int32_t head_dim) {
  return {head_dim == 64 ? reinterpret_cast<const void *>(quantise_e4m3<64>)
                         : reinterpret_cast<const void *>(quantise_e4m3<128>),
          kQuantiseThreads, kQuantiseSharedBytes};
}

}  // namespace svdit::cuda
