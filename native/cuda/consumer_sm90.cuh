// The consumer of the sm_90a kernel: a warpgroup that computes one strip of queries.
//
// While the tensor cores multiply the values of one tile, and the keys of the next, the other
// warpgroups are in softmax; warpgroups take turns in giving the tensor cores work. Scores, weights
// and output stay in registers.
#ifndef SVDIT_CUDA_CONSUMER_SM90_CUH
#define SVDIT_CUDA_CONSUMER_SM90_CUH

#include "cuda/shape_sm90.cuh"
#include "cuda/softmax.cuh"

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
      : p_(p), shared_(shared), barriers_(shared), strip_(strip) {
    if (strip == Shape::kStrips - 1) pass_turn();  // the first strip's turn comes first
  }

  __device__ __forceinline__ void run() {
    Items<Shape> items(shared_);
    std::uint32_t phase = 0;
    for (Announced next = items.next(); !next.none(); next = items.next()) {
      Softmax<1> softmax;
      Out out = {};
      if (next.keys()) {
        ptx::mbarrier_wait(barriers_.queries_full(strip_), phase);
        phase ^= 1;
        attend(out, softmax);
      }
      store(next.index(), out, softmax);
    }
  }

 private:
  // Over the tiles of an item.
  __device__ __forceinline__ void attend(Out &out, Softmax<1> &softmax) {
    Scores scores;
    Weights weights;
    float shrink[2];
    for (bool more = true; more;) {
      const TileNote first = wait_for_keys();
      more = !first.last();
      take_turn();
      if (first.seen == 0) {
        pass_turn();
        release_keys(first);
        wait_for_values();
        release_values();
        continue;
      }
      ptx::wgmma_fence();
      multiply_keys(scores);
      pass_turn();
      ptx::wgmma_wait<0>();
      ptx::wgmma_hold(flat(scores));
      release_keys(first);
      weigh(scores, first, softmax, shrink);
      softmax.rescale(out, shrink);
      pack(weights, scores);
      while (more) {
        const TileNote note = wait_for_keys();
        if (note.seen == 0) break;
        more = !note.last();
        take_turn();
        ptx::wgmma_fence();
        multiply_keys(scores);
        wait_for_values();
        ptx::wgmma_fence();
        multiply_values(out, weights);
        pass_turn();
        ptx::wgmma_wait<1>();
        ptx::wgmma_hold(flat(scores));
        release_keys(note);
        weigh(scores, note, softmax, shrink);
        ptx::wgmma_wait_after<0>(softmax.sum(), shared_);
        ptx::wgmma_hold(flat(out));
        release_values();
        softmax.rescale(out, shrink);
        pack(weights, scores);
      }
      wait_for_values();
      ptx::wgmma_fence();
      multiply_values(out, weights);
      ptx::wgmma_wait<0>();
      ptx::wgmma_hold(flat(out));
      release_values();
    }
  }

  // ---- tiles and turns --------------------------------------------------------------------------

  __device__ __forceinline__ TileNote wait_for_keys() const {
    ptx::mbarrier_wait(barriers_.template tile_full<false>(keys_.slot()), keys_.phase());
    const ptx::Bits128 note = ptx::load_shared_16(shared_ + Shape::kTileNotes + 16 * keys_.slot());
    return {strip_ == 0 ? note.x : strip_ == 1 ? note.y : note.z, note.w};
  }
  __device__ __forceinline__ void wait_for_values() const {
    ptx::mbarrier_wait(barriers_.template tile_full<true>(values_.slot()), values_.phase());
  }
  // The queries go with the item's last keys.
  __device__ __forceinline__ void release_keys(const TileNote &note) {
    release(barriers_.template tile_empty<false>(keys_.slot()));
    keys_.advance();
    if (note.last()) release(barriers_.queries_empty(strip_));
  }
  __device__ __forceinline__ void release_values() {
    release(barriers_.template tile_empty<true>(values_.slot()));
    values_.advance();
  }

  // Named barrier 1 + strip: this warpgroup waits, the one before it arrives. In every item each
  // warpgroup takes and passes one turn a tile, whether it sees the tile or not.
  static constexpr int kTurnThreads = 256;
  __device__ __forceinline__ void take_turn() const { ptx::barrier_sync(1 + strip_, kTurnThreads); }
  __device__ __forceinline__ void pass_turn() const {
    ptx::barrier_arrive(strip_ + 1 == Shape::kStrips ? 1 : 2 + strip_, kTurnThreads);
  }

  // ---- arithmetic -------------------------------------------------------------------------------

  // The registers of an array as wgmma numbers them.
  template <int kColumns>
  static __device__ __forceinline__ float (&flat(float (&array)[1][kColumns][4]))[kColumns * 4] {
    return reinterpret_cast<float(&)[kColumns * 4]>(array);
  }

  // scores = Q K^T. Both lie along the dimension summed over: 16 elements are 32 bytes of a row.
  __device__ __forceinline__ void multiply_keys(Scores &scores) const {
    const std::uint64_t q =
        k_major_descriptor(shared_ + Shape::kQueries + strip_ * Shape::kStripBytes);
    const std::uint64_t k =
        k_major_descriptor(shared_ + Shape::kKeys + keys_.slot() * Shape::kTileBytes);
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
    const std::uint64_t v = n_major_descriptor(
        shared_ + Shape::kValues + values_.slot() * Shape::kTileBytes, Shape::kTilePanelBytes);
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

  // ---- output -----------------------------------------------------------------------------------

  // The four threads of a quad hold 4 bytes each of every 16 of a row; they exchange them so that
  // each writes 16 bytes.
  __device__ __forceinline__ void store(int32_t index, const Out &out, Softmax<1> &softmax) const {
    const ItemSm90<Shape> item(p_, index);
    const Strip<Shape> strip(p_, item, strip_);
    const int thread = ptx::thread_index() % 128, place = thread % 4;
    softmax.finish();
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = thread / 32 * 16 + i * 8 + thread % 32 / 4;
      const bool real = row < strip.count();
      const int32_t token = real ? strip.token(row) : 0;
      const float inverse = softmax.inverse(i);
      char *to = p_.out.row(item.batch, item.head, token) + place * 16;
#pragma unroll
      for (int j = 0; j < kHeadDim / 8; j += 4) {
        std::uint32_t words[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const float *pair = &out[0][j + k][i * 2];
          words[k] = Element::pack(pair[0] * inverse, pair[1] * inverse);
        }
        transpose(words, place);
        if (real) ptx::store_global_16(to + j * 16, {words[0], words[1], words[2], words[3]});
      }
      if (real && p_.lse != nullptr && place == 0) {
        const int64_t head = static_cast<int64_t>(item.batch) * p_.plan_heads + item.head;
        p_.lse[head * p_.query_tokens + token] = softmax.log_sum(i, p_.scale_log2);
      }
    }
  }

  // Thread t of a quad has words[w] of matrix [t][w] and gets that of [w][t]: halves are exchanged
  // with the thread two further, then words with the neighbour.
  static __device__ __forceinline__ void transpose(std::uint32_t (&words)[4], int t) {
    const int lane = ptx::thread_index() % 32;
#pragma unroll
    for (int step = 2; step > 0; step /= 2) {
      const bool upper = (t & step) != 0;
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        if ((w & step) != 0) continue;
        std::uint32_t &low = words[w], &high = words[w + step];
        const std::uint32_t got = ptx::shuffle(upper ? low : high, lane ^ step);
        (upper ? low : high) = got;
      }
    }
  }

  const AttentionParams &p_;
  const std::uint32_t shared_;
  const Barriers<Shape> barriers_;
  const int strip_;
  Turn<Shape::kStages> keys_, values_;
};

}  // namespace svdit::cuda

#endif
