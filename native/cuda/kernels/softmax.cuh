// Online softmax over tiles of scores in mma's accumulator layout: a thread holds, of each of its
// rows, two neighbouring columns in every eight; the four threads of a quad hold the whole row.
#ifndef SVDIT_CUDA_SOFTMAX_CUH
#define SVDIT_CUDA_SOFTMAX_CUH

#include <cmath>
#include <cstdint>

#include "cuda/ptx/ptx.cuh"

namespace svdit::cuda {

inline constexpr float kMinusInfinity = -__builtin_huge_valf();

// Of a value of each of a quad's threads.
__device__ __forceinline__ float quad_sum(float value) {
  value += ptx::shuffle_xor(value, 1);
  return value + ptx::shuffle_xor(value, 2);
}

// kRowTiles tiles of 16 rows; row i of this thread is row lane / 4 + 8 (i % 2) of tile i / 2.
template <int kRowTiles>
class Softmax {
 public:
  static constexpr int kRows = 2 * kRowTiles;
  // A row's maximum stays until a score is 2^kSlack above it: weights are then at most 2^kSlack,
  // which costs a 16-bit float no precision, and most tiles rescale nothing.
  static constexpr float kSlack = 8;

  __device__ __forceinline__ Softmax() {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      max_[i] = kMinusInfinity;
      sum_[i] = 0;
    }
  }

  // Turns scores q.k into exp2((q.k - row maximum) scale_log2), and multiplies what was summed
  // under the old maximum down to the new one. Every row must see at least one key of the tile.
  template <int kColumnTiles, int kOutTiles>
  __device__ __forceinline__ void update(float (&scores)[kRowTiles][kColumnTiles][4],
                                         float (&out)[kRowTiles][kOutTiles][4], float scale_log2) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) rescale_row(out, i, weigh_row(scores, i, scale_log2));
  }

  // The two halves of update, for an output that is still being computed meanwhile.
  template <int kColumnTiles>
  __device__ __forceinline__ void weigh(float (&scores)[kRowTiles][kColumnTiles][4],
                                        float (&shrink)[kRows], float scale_log2) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) shrink[i] = weigh_row(scores, i, scale_log2);
  }
  template <int kOutTiles>
  static __device__ __forceinline__ void rescale(float (&out)[kRowTiles][kOutTiles][4],
                                                 const float (&shrink)[kRows]) {
    bool any = false;
#pragma unroll
    for (int i = 0; i < kRows; ++i) any |= shrink[i] != 1;
    if (!any) return;
#pragma unroll
    for (int i = 0; i < kRows; ++i) rescale_row(out, i, shrink[i]);
  }

  // Of all this thread has weighed: depends on the last tile's weights.
  __device__ __forceinline__ float sum() const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kRows; ++i) sum += sum_[i];
    return sum;
  }

  // Adds up the row sums. After it, inverse(i) is what the row's output is to be multiplied with (0
  // where the row saw no key), and log_sum(i) the natural logarithm of its denominator.
  __device__ __forceinline__ void finish() {
#pragma unroll
    for (int i = 0; i < kRows; ++i) sum_[i] = quad_sum(sum_[i]);
  }
  __device__ __forceinline__ float inverse(int i) const { return sum_[i] == 0 ? 0 : 1 / sum_[i]; }
  __device__ __forceinline__ float log_sum(int i, float scale_log2) const {
    constexpr float kLn2 = 0.693147180559945309f;
    return sum_[i] == 0 ? kMinusInfinity
                        : (max_[i] * scale_log2 + ptx::log2_approx(sum_[i])) * kLn2;
  }

  // Before finish(): the row's sum so far, and the maximum it is relative to, scaled.
  __device__ __forceinline__ float total(int i) const { return quad_sum(sum_[i]); }
  __device__ __forceinline__ float scaled_max(int i, float scale_log2) const {
    return max_[i] * scale_log2;
  }

 private:
  // Returns what to multiply with what was summed under the old maximum.
  template <int kColumnTiles>
  __device__ __forceinline__ float weigh_row(float (&scores)[kRowTiles][kColumnTiles][4], int i,
                                             float scale_log2) {
    const int tile = i / 2, e = i % 2 * 2;
    float max = max_[i];
#pragma unroll
    for (int j = 0; j < kColumnTiles; ++j) {
      max = fmaxf(max, fmaxf(scores[tile][j][e], scores[tile][j][e + 1]));
    }
    max = fmaxf(max, ptx::shuffle_xor(max, 1));
    max = fmaxf(max, ptx::shuffle_xor(max, 2));
    if ((max - max_[i]) * scale_log2 <= kSlack) max = max_[i];
    const float shrink = ptx::exp2_approx((max_[i] - max) * scale_log2);
    max_[i] = max;
    const float offset = max * scale_log2;
    float sum =
        sum_[i] * shrink;  // of this thread's columns; the quad's are added up once, at the end
#pragma unroll
    for (int j = 0; j < kColumnTiles; ++j) {
#pragma unroll
      for (int c = e; c < e + 2; ++c) {
        scores[tile][j][c] = ptx::exp2_approx(fmaf(scores[tile][j][c], scale_log2, -offset));
        sum += scores[tile][j][c];
      }
    }
    sum_[i] = sum;
    return shrink;
  }

  template <int kOutTiles>
  static __device__ __forceinline__ void rescale_row(float (&out)[kRowTiles][kOutTiles][4], int i,
                                                     float shrink) {
    const int tile = i / 2, e = i % 2 * 2;
#pragma unroll
    for (int j = 0; j < kOutTiles; ++j) {
      out[tile][j][e] *= shrink;
      out[tile][j][e + 1] *= shrink;
    }
  }

  float max_[kRows];  // of q.k, unscaled
  float sum_[kRows];
};

}  // namespace svdit::cuda

#endif
