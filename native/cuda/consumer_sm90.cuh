// The consumer of the sm_90a kernel: a warpgroup that computes one strip of queries.
//
// While the tensor cores multiply the values of one tile, and the keys of the next, the other
// warpgroups are in softmax; warpgroups take turns in giving the tensor cores work. Scores, weights
// and output stay in registers.
#ifndef SVDIT_CUDA_CONSUMER_SM90_CUH
#define SVDIT_CUDA_CONSUMER_SM90_CUH

#include "cuda/shape_sm90.cuh"
#include "cuda/softmax.cuh"
#include "cuda/strip_sm90.cuh"

namespace svdit::cuda {

template <class Shape>
class Consumer {
  using Element = typename Shape::Element;
  static constexpr int kTile = Shape::kTile, kHeadDim = Shape::kHeadDim;
  // A thread's share of 16 rows of a warp: of 8 columns, 4 registers.
  using Scores = float[1][kTile / 8][4];
  using Weights = std::uint32_t[kTile / 16][4];
  using Out = float[1][kHeadDim / 8][4];

 public:
  __device__ __forceinline__ Consumer(const AttentionParams &p, std::uint32_t shared, int strip)
      : p_(p), shared_(shared), strip_(strip), tiles_(shared, strip) {}

  __device__ __forceinline__ void run() {
    Items<Shape> items(shared_);
    std::uint32_t phase = 0;
    for (Announced next = items.next(); !next.none(); next = items.next()) {
      Softmax<1> softmax;
      Out out = {};
      if (next.keys()) {
        tiles_.wait_for_queries(phase);
        phase ^= 1;
        attend(out, softmax);
      }
      softmax.finish();
      store_strip<Shape>(p_, next.index(), strip_, out, softmax);
    }
  }

 private:
  // Over the tiles of an item.
  __device__ __forceinline__ void attend(Out &out, Softmax<1> &softmax) {
    Scores scores;
    Weights weights;
    float shrink[2];
    for (bool more = true; more;) {
      const TileNote first = tiles_.wait_for_keys();
      more = !first.last();
      tiles_.take_turn();
      if (first.seen == 0) {
        tiles_.pass_over(first);
        continue;
      }
      ptx::wgmma_fence();
      multiply_keys(scores);
      tiles_.pass_turn();
      ptx::wgmma_wait<0>();
      ptx::wgmma_hold(flat(scores));
      tiles_.release_keys(first);
      weigh(scores, first, softmax, shrink);
      softmax.rescale(out, shrink);
      pack(weights, scores);
      while (more) {
        const TileNote note = tiles_.wait_for_keys();
        if (note.seen == 0) break;
        more = !note.last();
        tiles_.take_turn();
        ptx::wgmma_fence();
        multiply_keys(scores);
        tiles_.wait_for_values();
        ptx::wgmma_fence();
        multiply_values(out, weights);
        tiles_.pass_turn();
        ptx::wgmma_wait<1>();
        ptx::wgmma_hold(flat(scores));
        tiles_.release_keys(note);
        weigh(scores, note, softmax, shrink);
        ptx::wgmma_wait_after<0>(softmax.sum(), shared_);
        ptx::wgmma_hold(flat(out));
        tiles_.release_values();
        softmax.rescale(out, shrink);
        pack(weights, scores);
      }
      tiles_.wait_for_values();
      ptx::wgmma_fence();
      multiply_values(out, weights);
      ptx::wgmma_wait<0>();
      ptx::wgmma_hold(flat(out));
      tiles_.release_values();
    }
  }

  // ---- arithmetic -------------------------------------------------------------------------------

  // scores = Q K^T. Both lie along the dimension summed over: 16 elements are 32 bytes of a row.
  __device__ __forceinline__ void multiply_keys(Scores &scores) const {
    const std::uint64_t q = k_major_descriptor(tiles_.queries());
    const std::uint64_t k = k_major_descriptor(tiles_.keys());
#pragma unroll
    for (int d = 0; d < kHeadDim; d += 16) {
      const int panel = d / 64, within = d % 64 * 2;
      Element::template multiply<false>(
          flat(scores), descriptor_ahead(q, panel * Shape::kStripPanelBytes + within),
          descriptor_ahead(k, panel * Shape::kTilePanelBytes + within), d > 0);
    }
    ptx::wgmma_commit();
  }

  // out += P V. V lies across the dimension summed over: 16 keys are 16 rows.
  __device__ __forceinline__ void multiply_values(Out &out, const Weights &weights) const {
    const std::uint64_t v = n_major_descriptor(tiles_.values(), Shape::kTilePanelBytes);
#pragma unroll
    for (int key = 0; key < kTile; key += 16) {
      Element::template multiply<true>(flat(out), weights[key / 16],
                                       descriptor_ahead(v, key * Shape::kRowBytes), true);
    }
    ptx::wgmma_commit();
  }

  // Scores into weights. What this strip does not see, and what is no key, weighs nothing.
  __device__ __forceinline__ void weigh(Scores &scores, const TileNote &note, Softmax<1> &softmax,
                                        float (&shrink)[2]) const {
    if (p_.negative_scale) {
#pragma unroll
      for (auto &column : scores[0]) {
        for (float &score : column) score = -score;
      }
    }
    if (note.seen != (1u << Shape::kPieces) - 1 || note.count() < kTile) {
      const int first = ptx::thread_index() % 4 * 2;
#pragma unroll
      for (int j = 0; j < kTile / 8; ++j) {
        const bool seen = (note.seen >> j / 2 & 1) != 0;
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          if (!seen || j * 8 + first + e % 2 >= note.count()) scores[0][j][e] = kMinusInfinity;
        }
      }
    }
    softmax.weigh(scores, shrink, p_.scale_log2);
  }

  static __device__ __forceinline__ void pack(Weights &weights, const Scores &scores) {
#pragma unroll
    for (int i = 0; i < kTile / 16; ++i) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float *pair = &scores[0][2 * i + r / 2][r % 2 * 2];
        weights[i][r] = Element::pack(pair[0], pair[1]);
      }
    }
  }

  const AttentionParams &p_;
  const std::uint32_t shared_;
  const int strip_;
  StripTiles<Shape> tiles_;
};

}  // namespace svdit::cuda

#endif
