// Online softmax over tiles whose pieces have scales: of keys, which scores are to be multiplied
// with, and of values, which weights are.
//
// Both go into the exponent. A value scale 2^e makes a weight 2^(s + e - m), with m the running
// maximum of s + e: at most 1, however the pieces' values differ, and the products with the rounded
// values need no scaling afterwards. The row sum is that of the weights / 2^e. Weights are kept at
// 2^kWeightExponent times that, so that e4m3 has 15 powers of two for them before it runs out.
#ifndef SVDIT_CUDA_SOFTMAX_E4M3_CUH
#define SVDIT_CUDA_SOFTMAX_E4M3_CUH

#include "cuda/kernels/softmax.cuh"

namespace svdit::cuda {

// Of 16 rows; row i of this thread is row lane / 4 + 8 i.
template <int kPieces>
class ScaledSoftmax {
  static constexpr int kRows = 2;
  static constexpr float kWeightExponent = 8;  // 2^8 is the largest power of two e4m3 holds

 public:
  // Of a tile's pieces. factor: what q.k is to be multiplied with to be a power of two's exponent;
  // values_log2 is e, and values_inverse 2^-e.
  struct Scales {
    float factor[kPieces], values_log2[kPieces], values_inverse[kPieces];
  };

  __device__ __forceinline__ ScaledSoftmax() {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      max_[i] = kMinusInfinity;
      sum_[i] = 0;
    }
  }

  // Turns scores q.k into weights; shrink: what to multiply with what was summed under the old
  // maximum. Every row must see at least one key of the tile.
  template <int kColumnTiles>
  __device__ __forceinline__ void weigh(float (&scores)[1][kColumnTiles][4], const Scales &scales,
                                        float (&shrink)[kRows]) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) shrink[i] = weigh_row(scores, scales, i);
  }

  // Of all this thread has weighed: depends on the last tile's weights.
  __device__ __forceinline__ float sum() const { return sum_[0] + sum_[1]; }

  // As those of Softmax.
  __device__ __forceinline__ void finish() {
#pragma unroll
    for (int i = 0; i < kRows; ++i) sum_[i] = quad_sum(sum_[i]);
  }
  __device__ __forceinline__ float inverse(int i) const { return sum_[i] == 0 ? 0 : 1 / sum_[i]; }
  __device__ __forceinline__ float log_sum(int i, float) const {
    constexpr float kLn2 = 0.693147180559945309f;
    return sum_[i] == 0 ? kMinusInfinity
                        : (max_[i] - kWeightExponent + ptx::log2_approx(sum_[i])) * kLn2;
  }

 private:
  template <int kColumnTiles>
  __device__ __forceinline__ float weigh_row(float (&scores)[1][kColumnTiles][4],
                                             const Scales &scales, int i) {
    constexpr int kPieceTiles = kColumnTiles / kPieces;
    float max = max_[i];
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
      float largest = kMinusInfinity;
#pragma unroll
      for (int j = piece * kPieceTiles; j < (piece + 1) * kPieceTiles; ++j) {
        largest = fmaxf(largest, fmaxf(scores[0][j][2 * i], scores[0][j][2 * i + 1]));
      }
      max = fmaxf(max, fmaf(largest, scales.factor[piece], scales.values_log2[piece]));
    }
    max = fmaxf(max, ptx::shuffle_xor(max, 1));
    max = fmaxf(max, ptx::shuffle_xor(max, 2));
    const float shrink = ptx::exp2_approx(max_[i] - max);
    max_[i] = max;
    sum_[i] *= shrink;  // of this thread's columns; the quad's are added up once, at the end
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
      const float offset = scales.values_log2[piece] + kWeightExponent - max;
      float sum = 0;
#pragma unroll
      for (int j = piece * kPieceTiles; j < (piece + 1) * kPieceTiles; ++j) {
#pragma unroll
        for (int c = 2 * i; c < 2 * i + 2; ++c) {
          scores[0][j][c] = ptx::exp2_approx(fmaf(scores[0][j][c], scales.factor[piece], offset));
          sum += scores[0][j][c];
        }
      }
      sum_[i] = fmaf(sum, scales.values_inverse[piece], sum_[i]);
    }
    return shrink;
  }

  float max_[kRows];  // of s + e
  float sum_[kRows];  // of 2^(s - max + kWeightExponent)
};

}  // namespace svdit::cuda

#endif
