// The kernels of a denoiser's other operations, for all architectures.
#include <array>
#include <utility>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/ops_clip.cuh"
#include "cuda/kernels/ops_each.cuh"
#include "cuda/kernels/ops_norm.cuh"
#include "cuda/kernels/ops_softmax.cuh"

namespace svdit::cuda {
namespace {

template <std::size_t... kIndex>
const void *norm_kernel(int shape, std::index_sequence<kIndex...>) {
  const std::array functions = {reinterpret_cast<const void *>(
      norm_rows<kNormShapes[kIndex].lanes, kNormShapes[kIndex].pieces>)...};
  return functions[static_cast<std::size_t>(shape)];
}

}  // namespace

const void *norm_kernel(int shape) {
  return norm_kernel(shape, std::make_index_sequence<kNormShapeCount>());
}
const void *convert_kernel() { return reinterpret_cast<const void *>(convert_rows); }
const void *residual_kernel() { return reinterpret_cast<const void *>(residual_rows); }
const void *rope_kernel() { return reinterpret_cast<const void *>(rope_rows); }
const void *gather_kernel() { return reinterpret_cast<const void *>(gather_places); }
const void *affine_kernel() { return reinterpret_cast<const void *>(affine_rows); }
const void *spread_kernel() { return reinterpret_cast<const void *>(spread_rows); }
const void *group_sum_kernel() { return reinterpret_cast<const void *>(group_sums); }
const void *group_fold_kernel() { return reinterpret_cast<const void *>(group_fold); }
const void *rope_halves_kernel() { return reinterpret_cast<const void *>(rope_halves_rows); }
const void *multiply_kernel() { return reinterpret_cast<const void *>(multiply_rows); }
const void *transpose_kernel() { return reinterpret_cast<const void *>(transpose_rows); }
const void *softmax_kernel() { return reinterpret_cast<const void *>(softmax_rows); }

}  // namespace svdit::cuda
