// The kernels of compute capability 9.0, one for each element type, head dim and block, and what
// rounds the operands of e4m3.
#include "cuda/kernels/attention_sm90.cuh"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/quantise_e4m3.cuh"

namespace svdit::cuda {
namespace {

template <class Shape>
AttentionKernel kernel() {
  return {reinterpret_cast<const void *>(attention_sm90<Shape>), Shape::kThreads,
          Shape::kSharedBytes, Shape::kStrips * kStripRows,
          std::is_same_v<typename Shape::Source, KeyMaps> ? Shape::kTile : 0};
}

template <template <int, int> class ShapeOf>
AttentionKernel kernel(int32_t head_dim, int32_t block) {
  if (head_dim == 64) return block == 64 ? kernel<ShapeOf<64, 64>>() : kernel<ShapeOf<64, 128>>();
  return block == 64 ? kernel<ShapeOf<128, 64>>() : kernel<ShapeOf<128, 128>>();
}

template <int kHeadDim, int kBlock>
using ShapeBf16 = ShapeSm90<Bf16Sm90, kHeadDim, kBlock>;
template <int kHeadDim, int kBlock>
using ShapeFp16 = ShapeSm90<Fp16Sm90, kHeadDim, kBlock>;

}  // namespace

AttentionKernel attention_kernel_sm90(uint32_t element_type, int32_t head_dim, int32_t block) {
  return element_type == SVDIT_BF16   ? kernel<ShapeBf16>(head_dim, block)
         : element_type == SVDIT_FP16 ? kernel<ShapeFp16>(head_dim, block)
                                      : kernel<ShapeE4m3>(head_dim, block);
}

QuantiseKernel quantise_kernel(int32_t head_dim) {
  return {head_dim == 64 ? reinterpret_cast<const void *>(quantise_e4m3<64>)
                         : reinterpret_cast<const void *>(quantise_e4m3<128>),
          kQuantiseThreads, kQuantiseSharedBytes};
}

}  // namespace svdit::cuda
