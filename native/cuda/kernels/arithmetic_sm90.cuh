// What a consumer of the sm_90a kernel computes with 16-bit elements.
#ifndef SVDIT_CUDA_ARITHMETIC_SM90_CUH
#define SVDIT_CUDA_ARITHMETIC_SM90_CUH

#include "cuda/kernels/consumer_sm90.cuh"
#include "cuda/kernels/shape_sm90.cuh"
#include "cuda/kernels/softmax.cuh"

namespace svdit::cuda {

template <class Element, int kHeadDim, int kBlock>
class StripArithmetic<ShapeSm90<Element, kHeadDim, kBlock>> {
  using Shape = ShapeSm90<Element, kHeadDim, kBlock>;
  using Tiles = StripTiles<Shape>;
  static constexpr int kTile = Shape::kTile;

 public:
  __device__ __forceinline__ explicit StripArithmetic(const AttentionParams &p) : p_(p) {}

  __device__ __forceinline__ auto &scores() { return flat(scores_); }
  __device__ __forceinline__ auto &product() { return flat(out_); }
  __device__ __forceinline__ float sum() const { return softmax_.sum(); }

  // scores = Q K^T. Both lie along the dimension summed over: 16 elements are 32 bytes of a row.
  __device__ __forceinline__ void multiply_keys(const Tiles &tiles) {
    const std::uint64_t q = k_major_descriptor(tiles.queries());
    const std::uint64_t k = k_major_descriptor(tiles.keys());
#pragma unroll
    for (int d = 0; d < kHeadDim; d += 16) {
      const int panel = d / 64, within = d % 64 * 2;
      Element::template multiply<false>(
          scores(), descriptor_ahead(q, panel * Shape::kStripPanelBytes + within),
          descriptor_ahead(k, panel * Shape::kTilePanelBytes + within), d > 0);
    }
    ptx::wgmma_commit();
  }

  // out += P V. V lies across the dimension summed over: 16 keys are 16 rows.
  __device__ __forceinline__ void multiply_values(const Tiles &tiles) {
    // One panel has no next one.
    const std::uint64_t v =
        n_major_descriptor(tiles.values(), Shape::kPanels == 1 ? 0 : Shape::kTilePanelBytes);
#pragma unroll
    for (int key = 0; key < kTile; key += 16) {
      Element::template multiply<true>(product(), weights_[key / 16],
                                       descriptor_ahead(v, key * Shape::kRowBytes), true);
    }
    ptx::wgmma_commit();
  }

  __device__ __forceinline__ void read(const Tiles &) {}

  __device__ __forceinline__ void weigh(const TileNote &note) {
    if (p_.negative_scale) {
#pragma unroll
      for (auto &column : scores_[0]) {
        for (float &score : column) score = -score;
      }
    }
    hide_unseen<Shape>(scores_, note);
    softmax_.weigh(scores_, shrink_, p_.scale_log2);
  }

  // The product adds to the output as it is.
  __device__ __forceinline__ void join() {}
  __device__ __forceinline__ void rescale() { Softmax<1>::rescale(out_, shrink_); }

  __device__ __forceinline__ void pack() {
#pragma unroll
    for (int i = 0; i < kTile / 16; ++i) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float *pair = &scores_[0][2 * i + r / 2][r % 2 * 2];
        weights_[i][r] = Element::pack(pair[0], pair[1]);
      }
    }
  }

  __device__ __forceinline__ void store(int32_t index, int strip) {
    softmax_.finish();
    store_strip<Shape>(p_, index, strip, out_, softmax_);
  }

 private:
  const AttentionParams &p_;
  // A thread's share of 16 rows of a warp: of 8 columns, 4 registers.
  float scores_[1][kTile / 8][4];
  std::uint32_t weights_[kTile / 16][4];
  float out_[1][kHeadDim / 8][4] = {};
  float shrink_[2];
  Softmax<1> softmax_;
};

}  // namespace svdit::cuda

#endif
