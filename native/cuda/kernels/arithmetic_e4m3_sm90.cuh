// What a consumer of the sm_90a kernel computes with e4m3. Two things differ from 16 bits. Weights
// are packed as the softmax leaves them: V's rows have their keys in that order. And each tile's P
// V is a sum of its own, added to the output in fp32: the tensor cores do not keep all bits of a
// longer sum of e4m3 products.
#ifndef SVDIT_CUDA_ARITHMETIC_E4M3_SM90_CUH
#define SVDIT_CUDA_ARITHMETIC_E4M3_SM90_CUH

#include "cuda/kernels/consumer_sm90.cuh"
#include "cuda/kernels/shape_e4m3_sm90.cuh"
#include "cuda/kernels/softmax_e4m3.cuh"

namespace svdit::cuda {

// An instruction sums over 32 bytes of each row.
template <int kHeadDim, int kBlock>
class StripArithmetic<ShapeE4m3<kHeadDim, kBlock>> {
  using Shape = ShapeE4m3<kHeadDim, kBlock>;
  using Tiles = StripTiles<Shape>;
  static constexpr int kTile = Shape::kTile;

 public:
  __device__ __forceinline__ explicit StripArithmetic(const AttentionParams &p) : p_(p) {}

  __device__ __forceinline__ auto &scores() { return flat(scores_); }
  __device__ __forceinline__ auto &product() { return flat(part_); }
  __device__ __forceinline__ float sum() const { return softmax_.sum(); }

  // scores = Q K^T.
  __device__ __forceinline__ void multiply_keys(const Tiles &tiles) {
    const std::uint64_t q =
        k_major_descriptor(tiles.queries(), Shape::kRows, Shape::kRowGroupBytes);
    const std::uint64_t k = k_major_descriptor(tiles.keys(), Shape::kRows, Shape::kRowGroupBytes);
#pragma unroll
    for (int d = 0; d < kHeadDim; d += 32) {
      ptx::wgmma_e4m3(scores(), descriptor_ahead(q, d), descriptor_ahead(k, d), d > 0);
    }
    ptx::wgmma_commit();
  }

  // part = P V.
  __device__ __forceinline__ void multiply_values(const Tiles &tiles) {
    const std::uint64_t v =
        k_major_descriptor(tiles.values(), Shape::kValueRows, Shape::kValueRowGroupBytes);
#pragma unroll
    for (int key = 0; key < kTile; key += 32) {
      const int piece = key / Shape::kPieceKeys, within = key % Shape::kPieceKeys;
      ptx::wgmma_e4m3(product(), weights_[key / 32],
                      descriptor_ahead(v, piece * Shape::kUnitBytes + within), key > 0);
    }
    ptx::wgmma_commit();
  }

  // The scales of the tile's pieces.
  __device__ __forceinline__ void read(const Tiles &tiles) {
    static_assert(Shape::kPieces == 2);
    const std::uint32_t factors = tiles.note() + TileScales::kFactors + 8 * tiles.strip();
    const ptx::Bits128 values = ptx::load_shared_16(tiles.note() + TileScales::kValues);
    const auto number = [](std::uint32_t bits) { return std::bit_cast<float>(bits); };
    scales_ = {{number(ptx::load_shared(factors)), number(ptx::load_shared(factors + 4))},
               {number(values.x), number(values.y)},
               {number(values.z), number(values.w)}};
  }

  __device__ __forceinline__ void weigh(const TileNote &note) {
    hide_unseen<Shape>(scores_, note);
    softmax_.weigh(scores_, scales_, shrink_);
  }

  // The product, under the maximum of its tile, beside the output under that of the tile before:
  // one instruction scales and adds.
  __device__ __forceinline__ void join() {
#pragma unroll
    for (int j = 0; j < kHeadDim / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        out_[0][j][e] = fmaf(out_[0][j][e], product_shrink_[e / 2], part_[0][j][e]);
    }
  }
  __device__ __forceinline__ void rescale() {
    product_shrink_[0] = shrink_[0];
    product_shrink_[1] = shrink_[1];
  }

  __device__ __forceinline__ void pack() {
#pragma unroll
    for (int i = 0; i < kTile / 32; ++i) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float *low = &scores_[0][4 * i + r / 2 * 2][r % 2 * 2];
        const float *high = &scores_[0][4 * i + r / 2 * 2 + 1][r % 2 * 2];
        weights_[i][r] = ptx::pack_e4m3(low[0], low[1], high[0], high[1]);
      }
    }
  }

  __device__ __forceinline__ void store(int32_t index, int strip) {
    softmax_.finish();
    store_strip<Shape>(p_, index, strip, out_, softmax_);
  }

 private:
  using Sums = ScaledSoftmax<Shape::kPieces>;

  const AttentionParams &p_;
  // A thread's share of 16 rows of a warp: of 8 columns, 4 registers.
  float scores_[1][kTile / 8][4];
  std::uint32_t weights_[kTile / 32][4];
  float out_[1][kHeadDim / 8][4] = {};
  float part_[1][kHeadDim / 8][4];  // of the output: one tile's
  typename Sums::Scales scales_;
  float shrink_[2], product_shrink_[2];  // of the tile weighed last; of the one that is multiplied
  Sums softmax_;
};

}  // namespace svdit::cuda

#endif
