// The consumer of the e4m3 kernel: a warpgroup that computes one strip of queries, as that of
// consumer_sm90.cuh does, with two differences. Weights are packed as the softmax leaves them: V's
// rows have their keys in that order. And each tile's P V is a sum of its own, added to the output
// in fp32: the tensor cores do not keep all bits of a longer sum of e4m3 products.
#ifndef SVDIT_CUDA_CONSUMER_E4M3_SM90_CUH
#define SVDIT_CUDA_CONSUMER_E4M3_SM90_CUH

#include "cuda/shape_e4m3_sm90.cuh"
#include "cuda/softmax_e4m3.cuh"
#include "cuda/strip_sm90.cuh"

namespace svdit::cuda {

template <class Shape>
class ConsumerE4m3 {
  static constexpr int kTile = Shape::kTile, kHeadDim = Shape::kHeadDim;
  // A thread's share of 16 rows of a warp: of 8 columns, 4 registers.
  using Scores = float[1][kTile / 8][4];
  using Weights = std::uint32_t[kTile / 32][4];
  using Out = float[1][kHeadDim / 8][4];
  using Sums = ScaledSoftmax<Shape::kPieces>;

 public:
  __device__ __forceinline__ ConsumerE4m3(const AttentionParams &p, std::uint32_t shared, int strip)
      : p_(p), shared_(shared), strip_(strip), tiles_(shared, strip) {}

  __device__ __forceinline__ void run() {
    Items<Shape> items(shared_);
    std::uint32_t phase = 0;
    for (Announced next = items.next(); !next.none(); next = items.next()) {
      Sums sums;
      Out out = {};
      if (next.keys()) {
        tiles_.wait_for_queries(phase);
        phase ^= 1;
        attend(out, sums);
      }
      sums.finish();
      store_strip<Shape>(p_, next.index(), strip_, out, sums);
    }
  }

 private:
  // Over the tiles of an item.
  __device__ __forceinline__ void attend(Out &out, Sums &sums) {
    Scores scores;
    Weights weights;
    Out part;  // of the output: one tile's
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
      weigh(scores, first, sums, shrink);
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
        multiply_values(part, weights);
        tiles_.pass_turn();
        ptx::wgmma_wait<1>();
        ptx::wgmma_hold(flat(scores));
        const float before[2] = {shrink[0], shrink[1]};
        weigh(scores, note, sums, shrink);
        ptx::wgmma_wait_after<0>(sums.sum(), shared_);
        ptx::wgmma_hold(flat(part));
        tiles_.release_values();
        add(out, before, part);
        pack(weights, scores);
      }
      tiles_.wait_for_values();
      ptx::wgmma_fence();
      multiply_values(part, weights);
      ptx::wgmma_wait<0>();
      ptx::wgmma_hold(flat(part));
      tiles_.release_values();
      add(out, shrink, part);
    }
  }

  // ---- arithmetic: an instruction sums over 32 bytes of each row
  // ---------------------------------

  // scores = Q K^T.
  __device__ __forceinline__ void multiply_keys(Scores &scores) const {
    const std::uint64_t q =
        k_major_descriptor(tiles_.queries(), Shape::kRows, Shape::kRowGroupBytes);
    const std::uint64_t k = k_major_descriptor(tiles_.keys(), Shape::kRows, Shape::kRowGroupBytes);
#pragma unroll
    for (int d = 0; d < kHeadDim; d += 32) {
      ptx::wgmma_e4m3(flat(scores), descriptor_ahead(q, d), descriptor_ahead(k, d), d > 0);
    }
    ptx::wgmma_commit();
  }

  // part = P V.
  __device__ __forceinline__ void multiply_values(Out &part, const Weights &weights) const {
    const std::uint64_t v =
        k_major_descriptor(tiles_.values(), Shape::kValueRows, Shape::kValueRowGroupBytes);
#pragma unroll
    for (int key = 0; key < kTile; key += 32) {
      const int piece = key / Shape::kPieceKeys, within = key % Shape::kPieceKeys;
      ptx::wgmma_e4m3(flat(part), weights[key / 32],
                      descriptor_ahead(v, piece * Shape::kUnitBytes + within), key > 0);
    }
    ptx::wgmma_commit();
  }

  // out = out shrink + part.
  static __device__ __forceinline__ void add(Out &out, const float (&shrink)[2], const Out &part) {
#pragma unroll
    for (int j = 0; j < kHeadDim / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) out[0][j][e] = fmaf(out[0][j][e], shrink[e / 2], part[0][j][e]);
    }
  }

  // Scores into weights; gives the tile's keys back. What this strip does not see, and what is no
  // key, weighs nothing.
  __device__ __forceinline__ void weigh(Scores &scores, const TileNote &note, Sums &sums,
                                        float (&shrink)[2]) {
    const typename Sums::Scales scales = scales_of_tile();
    tiles_.release_keys(note);
    if (note.seen != (1u << Shape::kPieces) - 1 || note.count() < kTile) {
      const int first = ptx::thread_index() % 4 * 2;
#pragma unroll
      for (int j = 0; j < kTile / 8; ++j) {
        const bool seen = (note.seen >> j * 8 / Shape::kPieceKeys & 1) != 0;
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          if (!seen || j * 8 + first + e % 2 >= note.count()) scores[0][j][e] = kMinusInfinity;
        }
      }
    }
    sums.weigh(scores, scales, shrink);
  }

  __device__ __forceinline__ typename Sums::Scales scales_of_tile() const {
    static_assert(Shape::kPieces == 2);
    const std::uint32_t factors = tiles_.note() + TileScales::kFactors + 8 * strip_;
    const ptx::Bits128 values = ptx::load_shared_16(tiles_.note() + TileScales::kValues);
    const auto number = [](std::uint32_t bits) { return std::bit_cast<float>(bits); };
    return {{number(ptx::load_shared(factors)), number(ptx::load_shared(factors + 4))},
            {number(values.x), number(values.y)},
            {number(values.z), number(values.w)}};
  }

  static __device__ __forceinline__ void pack(Weights &weights, const Scores &scores) {
#pragma unroll
    for (int i = 0; i < kTile / 32; ++i) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const float *low = &scores[0][4 * i + r / 2 * 2][r % 2 * 2];
        const float *high = &scores[0][4 * i + r / 2 * 2 + 1][r % 2 * 2];
        weights[i][r] = ptx::pack_e4m3(low[0], low[1], high[0], high[1]);
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
