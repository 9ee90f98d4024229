// What consumers share, whatever they multiply: a warpgroup's place in the pipeline, and writing a
// strip's output.
#ifndef SVDIT_CUDA_STRIP_SM90_CUH
#define SVDIT_CUDA_STRIP_SM90_CUH

#include "cuda/kernels/pipeline_sm90.cuh"
#include "cuda/kernels/softmax.cuh"

namespace svdit::cuda {

// A consumer warpgroup's tiles, one after the other, and its turns at the tensor cores.
template <class Shape>
class StripTiles {
 public:
  __device__ __forceinline__ StripTiles(std::uint32_t shared, int strip)
      : shared_(shared), barriers_(shared), strip_(strip) {
    if (strip == Shape::kStrips - 1) pass_turn();  // the first strip's turn comes first
  }

  __device__ __forceinline__ int strip() const { return strip_; }

  // Where they lie in shared memory: the strip's queries, the tiles waited for.
  __device__ __forceinline__ std::uint32_t queries() const {
    return shared_ + Shape::kQueries + strip_ * Shape::kStripBytes;
  }
  __device__ __forceinline__ std::uint32_t keys() const {
    return shared_ + Shape::kKeys + keys_.slot() * Shape::kTileBytes;
  }
  __device__ __forceinline__ std::uint32_t values() const {
    return shared_ + Shape::kValues + values_.slot() * Shape::kTileBytes;
  }
  __device__ __forceinline__ std::uint32_t note() const {
    return shared_ + Shape::kTileNotes + Shape::kTileNoteBytes * keys_.slot();
  }

  // phase: 0 for the first item that has keys, then 1, then 0 again.
  __device__ __forceinline__ void wait_for_queries(std::uint32_t phase) const {
    ptx::mbarrier_wait(barriers_.queries_full(strip_), phase);
  }
  __device__ __forceinline__ TileNote wait_for_keys() const {
    ptx::mbarrier_wait(barriers_.template tile_full<false>(keys_.slot()), keys_.phase());
    const ptx::Bits128 words = ptx::load_shared_16(note());
    return {strip_ == 0 ? words.x : strip_ == 1 ? words.y : words.z, words.w};
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
  __device__ __forceinline__ void take_turn() const { ptx::barrier_sync(1 + strip_, kTurnThreads); }
  __device__ __forceinline__ void pass_turn() const {
    ptx::barrier_arrive(strip_ + 1 == Shape::kStrips ? 1 : 2 + strip_, kTurnThreads);
  }

  // A tile that the strip does not see.
  __device__ __forceinline__ void pass_over(const TileNote &note) {
    pass_turn();
    release_keys(note);
    wait_for_values();
    release_values();
  }

 private:
  static constexpr int kTurnThreads = 256;

  const std::uint32_t shared_;
  const Barriers<Shape> barriers_;
  const int strip_;
  Turn<Shape::kStages> keys_, values_;
};

// The registers of an array as wgmma numbers them.
template <int kColumns>
__device__ __forceinline__ float (&flat(float (&array)[1][kColumns][4]))[kColumns * 4] {
  return reinterpret_cast<float(&)[kColumns * 4]>(array);
}

// Of a tile's scores: what the strip does not see, and what is no key, is to weigh nothing.
template <class Shape>
__device__ __forceinline__ void hide_unseen(float (&scores)[1][Shape::kTile / 8][4],
                                            const TileNote &note) {
  if (note.seen == (1u << Shape::kPieces) - 1 && note.count() == Shape::kTile) return;
  const int first = ptx::thread_index() % 4 * 2;
#pragma unroll
  for (int j = 0; j < Shape::kTile / 8; ++j) {
    const bool seen = (note.seen >> j * 8 / Shape::kPieceKeys & 1) != 0;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (!seen || j * 8 + first + e % 2 >= note.count()) scores[0][j][e] = kMinusInfinity;
    }
  }
}

// Thread t of a quad has words[w] of matrix [t][w] and gets that of [w][t]: halves are exchanged
// with the thread two further, then words with the neighbour.
__device__ __forceinline__ void transpose_in_quad(std::uint32_t (&words)[4], int t) {
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

// Writes the rows and the LSE of strip `number` of an item. `sums` (softmax.cuh) is finished. The
// four threads of a quad hold 4 bytes each of every 16 of a row; they exchange them so that each
// writes 16 bytes.
template <class Shape, class Softmax>
__device__ __forceinline__ void store_strip(const AttentionParams &p, int32_t index, int number,
                                            const float (&out)[1][Shape::kHeadDim / 8][4],
                                            const Softmax &sums) {
  const ItemSm90<Shape> item(p, index);
  const Strip<Shape> strip(p, item, number);
  const int thread = ptx::thread_index() % 128, place = thread % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = thread / 32 * 16 + i * 8 + thread % 32 / 4;
    const bool real = row < strip.count();
    const int32_t token = real ? strip.token(row) : 0;
    const float inverse = sums.inverse(i);
    char *to = p.out.row(item.batch, item.head, token) + place * 16;
#pragma unroll
    for (int j = 0; j < Shape::kHeadDim / 8; j += 4) {
      std::uint32_t words[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const float *pair = &out[0][j + k][i * 2];
        words[k] = Shape::Output::pack(pair[0] * inverse, pair[1] * inverse);
      }
      transpose_in_quad(words, place);
      if (real) ptx::store_global_16(to + j * 16, {words[0], words[1], words[2], words[3]});
    }
    if (real && p.lse != nullptr && place == 0) {
      const int64_t head = static_cast<int64_t>(item.batch) * p.plan_heads + item.head;
      p.lse[head * p.query_tokens + token] = sums.log_sum(i, p.scale_log2);
    }
  }
}

}  // namespace svdit::cuda

#endif
