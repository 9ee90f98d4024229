// The cursor of the sm_90a kernel: one warp that draws items and lists, ahead of the producers,
// which keys each tile holds.
//
// The strips of a block of threads belong to up to three query blocks. Lane i of every four walks
// the runs of query block i; what they see between them is cut into pieces that each query block
// sees whole or not at all, and the pieces are packed into tiles one after the other.
#ifndef SVDIT_CUDA_CURSOR_SM90_CUH
#define SVDIT_CUDA_CURSOR_SM90_CUH

#include "cuda/kernels/pipeline_sm90.cuh"

namespace svdit::cuda {

// A tile as the lanes of the warp know it: lane i where piece i begins, and word i of the note.
struct ListedTile {
  int32_t piece;
  std::uint32_t note;
};

// The tiles of one item. All lanes of the warp call its functions together. Registers are so short
// that what can be asked for again is not kept.
template <class Shape>
class TileLister {
 public:
  __device__ __forceinline__ TileLister(const AttentionParams &p, int32_t index)
      : p_(p), cursor_(cursor(p, {p, index})) {
    const ItemSm90<Shape> item(p, index);
    bool wanted = false;  // by a strip that has queries
#pragma unroll
    for (int s = 0; s < Shape::kStrips; ++s) {
      wanted |= Strip<Shape>(p, item, s).count() > 0 && source(item, s) == lane() % 4;
    }
    if (!wanted || !cursor_.next(&run_)) run_ = {kEnd, kEnd};
  }

  __device__ __forceinline__ bool ended() const { return least(run_.begin) == kEnd; }

  // The next tile. announced: where the item's announcement lies in shared memory.
  __device__ __forceinline__ ListedTile next(std::uint32_t announced) {
    int32_t piece = kNothing;
    std::uint32_t rows = 0, seen = 0;
    do {
      const int32_t begin = least(run_.begin);
      const bool sees = run_.begin == begin;
      const int32_t taken = take(begin, Shape::kTile - static_cast<int32_t>(rows));
      const int first = rows / Shape::kPieceKeys,
                past = (rows + taken + Shape::kPieceKeys - 1) / Shape::kPieceKeys;
      if (sees) seen |= (1u << past) - (1u << first);
      if (lane() >= first && lane() < past) piece = begin + (lane() - first) * Shape::kPieceKeys;
      rows = taken == Shape::kTile ? Shape::kTile | TileNote::kWhole : rows + taken;
      // A piece that ends between multiples of Shape::kPieceKeys, as only a segment's last can,
      // ends the tile.
    } while (rows < Shape::kTile && rows % Shape::kPieceKeys == 0 && !ended());
    if (ended()) rows |= TileNote::kLast;
    const std::int32_t index = Announced{ptx::load_shared(announced)}.index();
    // A strip sees what the lane that walks for its query block does.
    seen = ptx::shuffle(seen, source({p_, index}, lane() < Shape::kStrips ? lane() : 0));
    return {piece, lane() == TileNote::kCountWord   ? rows
                   : lane() == TileNote::kIndexWord ? static_cast<std::uint32_t>(index)
                                                    : seen};
  }

 private:
  static constexpr int32_t kEnd = INT32_MAX;

  static __device__ __forceinline__ int lane() { return ptx::thread_index() % 32; }

  // Which of the item's query blocks a strip belongs to.
  static __device__ __forceinline__ int source(const ItemSm90<Shape> &item, int strip) {
    return (item.first_strip % Shape::kBlockStrips + strip) / Shape::kBlockStrips;
  }
  // That of this lane's query block; of another where there is none.
  static __device__ __forceinline__ RunCursor cursor(const AttentionParams &p,
                                                     const ItemSm90<Shape> &item) {
    const int32_t block = item.first_strip / Shape::kBlockStrips + lane() % 4;
    const int32_t last = p.query_block_count - 1;
    return {p.layout, p.plan.heads[item.head], p.plan.patterns,
            p.query_block_begin + (block < last ? block : last), p.text_valid_of(item.batch)};
  }

  // Of the query blocks' values.
  static __device__ __forceinline__ int32_t least(int32_t value) {
#pragma unroll
    for (int step = 1; step < 4; step *= 2) {
      const auto other =
          static_cast<int32_t>(ptx::shuffle(static_cast<std::uint32_t>(value), lane() ^ step));
      if (other < value) value = other;
    }
    return value;
  }

  // Goes past a piece of at most `most` keys, within one segment, and returns how many they are.
  __device__ __forceinline__ int32_t take(int32_t begin, int32_t most) {
    const int32_t segment_end = p_.layout.key_segment(begin).end;
    const int32_t own = run_.begin == begin ? run_.end : run_.begin;
    int32_t end = least(own < segment_end ? own : segment_end);
    if (end - begin > most) end = begin + most;
    if (run_.begin == begin) {
      run_.begin = end;
      if (run_.begin == run_.end && !cursor_.next(&run_)) run_ = {kEnd, kEnd};
    }
    return end - begin;
  }

  const AttentionParams &p_;
  RunCursor cursor_;
  Run run_;  // what is left of this lane's run
};

// The warp's whole life.
template <class Shape>
__device__ __forceinline__ void list_tiles(const AttentionParams &p, std::uint32_t shared) {
  const Barriers<Shape> barriers(shared);
  Turn<Shape::kItemSlots> items;
  Turn<Shape::kListed> tiles;
  const auto announce = [&](std::uint32_t word) {
    ptx::mbarrier_wait(barriers.item_empty(items.slot()), items.phase() ^ 1);
    if (ptx::thread_index() == 0)
      ptx::store_shared(shared + Shape::kItems + 4 * items.slot(), word);
    release(barriers.item_full(items.slot()));
    items.advance();
  };
  const auto list = [&](const ListedTile &tile) {
    ptx::mbarrier_wait(barriers.listed_empty(tiles.slot()), tiles.phase() ^ 1);
    const int lane = ptx::thread_index();
    const std::uint32_t to = shared + Shape::kTiles + tiles.slot() * Shape::kListedBytes + 4 * lane;
    if (lane < Shape::kPieces) ptx::store_shared(to, tile.piece);
    if (lane < TileNote::kWords) ptx::store_shared(to + Shape::kListedNote, tile.note);
    release(barriers.listed_full(tiles.slot()));
    tiles.advance();
  };
  for (;;) {
    const std::uint32_t drawn = ptx::thread_index() == 0 ? ptx::atomic_add(p.next_item, 1) : 0;
    const auto index = static_cast<int32_t>(ptx::shuffle(drawn, 0));
    if (index >= p.items(ItemSm90<Shape>::kRows)) break;
    TileLister<Shape> lister(p, index);
    announce(static_cast<std::uint32_t>(index) << 1 | (lister.ended() ? 0 : 1));
    while (!lister.ended()) list(lister.next(shared + Shape::kItems + 4 * items.last_slot()));
  }
  announce(Announced::kNone);
  list({kNothing, 0});  // a tile without keys
}

}  // namespace svdit::cuda

#endif
