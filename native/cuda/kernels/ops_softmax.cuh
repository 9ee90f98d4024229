// The softmax of rows that are longer than a head: scores of text encoders and autoencoders, which
// lie in memory. A block takes a row, and reads it three times from the second-level cache.
#ifndef SVDIT_CUDA_OPS_SOFTMAX_CUH
#define SVDIT_CUDA_OPS_SOFTMAX_CUH

#include <cmath>

#include "cuda/kernels/ops_elements.cuh"

namespace svdit::cuda {

inline constexpr int kSoftmaxWarps = kEachThreads / 32;

// combine(x of all threads), through a slot of shared memory for each warp. Each slot is used once.
template <class Combine>
__device__ __forceinline__ float over_block(float x, int slot, const Combine &combine) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) x = combine(x, ptx::shuffle_xor(x, mask));
  const int thread = ptx::thread_index();
  const std::uint32_t at = ptx::shared_memory() + slot * kSoftmaxWarps * 4;
  if (thread % 32 == 0) ptx::store_shared(at + thread / 32 * 4, std::bit_cast<std::uint32_t>(x));
  ptx::barrier();
  x = float_of(ptx::load_shared(at));
#pragma unroll
  for (int warp = 1; warp < kSoftmaxWarps; ++warp)
    x = combine(x, float_of(ptx::load_shared(at + warp * 4)));
  return x;
}

__global__ void __launch_bounds__(kEachThreads)
    softmax_rows(const __grid_constant__ SoftmaxParams p) {
  const int thread = ptx::thread_index();
  const std::int64_t row = ptx::block_index();
  std::int64_t seen = p.valid;
  if (p.group > 0) {
    const std::int64_t limit = ((p.first_row + row) / p.group + 1) * p.group;
    seen = limit < seen ? limit : seen;
  }
  // f(column, count of seen ones, scores) for this thread's pieces of the row.
  const auto each = [&](const auto &f) {
    for (std::int32_t column = thread * kPiece; column < p.columns;
         column += kEachThreads * kPiece) {
      const std::int32_t left = p.columns - column, count = left < kPiece ? left : kPiece;
      const bool whole = p.whole_pieces && count == kPiece;
      Piece v;
      read_piece(v, p.x.data + row * p.x.stride, p.x.type, column, count, whole);
#pragma unroll
      for (int e = 0; e < kPiece; ++e) v[e] *= p.scale;
      if (p.bias.data != nullptr) {
        Piece bias;
        read_piece(bias, p.bias.data + row * p.bias.stride, p.bias.type, column, count, whole);
#pragma unroll
        for (int e = 0; e < kPiece; ++e) v[e] += bias[e];
      }
      f(column, count, whole, v);
    }
  };
  float largest = -INFINITY;
  each([&](std::int32_t column, int, bool, const Piece &v) {
#pragma unroll
    for (int e = 0; e < kPiece; ++e)
      if (column + e < seen) largest = fmaxf(largest, v[e]);
  });
  largest = over_block(largest, 0, [](float a, float b) { return fmaxf(a, b); });
  const auto weight = [&](std::int32_t column, float x) {
    return column < seen ? ptx::exp2_approx((x - largest) * 1.44269504f) : 0.0f;
  };
  float sum = 0;
  each([&](std::int32_t column, int, bool, const Piece &v) {
#pragma unroll
    for (int e = 0; e < kPiece; ++e) sum += weight(column + e, v[e]);
  });
  sum = over_block(sum, 1, [](float a, float b) { return a + b; });
  const float factor = 1.0f / sum;
  each([&](std::int32_t column, int count, bool whole, Piece &v) {
#pragma unroll
    for (int e = 0; e < kPiece; ++e) v[e] = weight(column + e, v[e]) * factor;
    write_piece(v, p.y.data + row * p.y.stride, p.y.type, column, count, whole);
  });
}

}  // namespace svdit::cuda

#endif
