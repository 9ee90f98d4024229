// What the parts of a Hopper attention kernel tell each other by: shared memory, barriers, tiles,
// and what an item of work is. A Shape (shape_sm90.cuh, shape_fp8_sm90.cuh) gives the sizes.
//
// A block of threads is one warpgroup (128 threads) of cursor and producers and kStrips of
// consumers. A consumer warpgroup computes a strip of 64 consecutive queries of one query block;
// the block's strips are neighbours and share every tile of keys that is loaded. A query block of
// 128 tokens is two strips, one of 64 is one strip, so a block of threads may serve two or three
// query blocks: it loads the union of what they see, and each warpgroup passes over what its own
// does not.
#ifndef SVDIT_CUDA_PIPELINE_SM90_CUH
#define SVDIT_CUDA_PIPELINE_SM90_CUH

#include "cuda/kernels/params.h"
#include "cuda/ptx/ptx_sm90.cuh"

namespace svdit::cuda {

inline constexpr int kStripRows = 64;

// The block's shared memory: the strips' queries, kStages tiles of keys and as many of values, then
// what says which keys they are.
template <int kStripCount, int kStripSize, int kStageCount, int kTileSize, int kTileNoteSize>
struct SharedMemory {
  static constexpr int kStrips = kStripCount, kStages = kStageCount;
  static constexpr int kStripBytes = kStripSize, kTileBytes = kTileSize;
  static constexpr int kTileNoteBytes = kTileNoteSize;
  static constexpr int kThreads = 128 * (kStrips + 1);

  // Offsets.
  static constexpr int kQueries = 0;
  static constexpr int kKeys = kQueries + kStrips * kStripBytes;
  static constexpr int kValues = kKeys + kStages * kTileBytes;
  // Tiles listed ahead of the producers: the position of each piece, then the notes.
  static constexpr int kTiles = kValues + kStages * kTileBytes;
  static constexpr int kListed = 4;
  static constexpr int kMostPieces = 16;
  static constexpr int kListedNote = 4 * kMostPieces;
  static constexpr int kListedBytes = kListedNote + 32;
  static constexpr int kTileNotes = kTiles + kListed * kListedBytes;  // of the tiles in kKeys
  static constexpr int kItems = kTileNotes + kStages * kTileNoteBytes;
  static constexpr int kItemSlots = 1;
  static constexpr int kBarriers = kItems + kItemSlots * 8;
  static constexpr int kBarrierCount = 4 * kStages + 2 * kStrips + 2 * kItemSlots + 2 * kListed;
  static constexpr int kSharedBytes = kBarriers + kBarrierCount * 8;
  static_assert(kStripBytes % 1024 == 0 && kTileBytes % 1024 == 0 && kTileNoteBytes % 16 == 0);
  static_assert(kSharedBytes <= 227 * 1024);
};

// How often a ring of slots was gone round: which slot is next, and in which phase its barriers
// are. One register.
template <int kSlots>
struct Turn {
  static_assert((kSlots & (kSlots - 1)) == 0);
  std::uint32_t count = 0;

  __device__ __forceinline__ int slot() const { return static_cast<int>(count % kSlots); }
  __device__ __forceinline__ int last_slot() const {
    return static_cast<int>((count - 1) % kSlots);
  }
  __device__ __forceinline__ std::uint32_t phase() const { return count / kSlots % 2; }
  __device__ __forceinline__ void advance() { ++count; }
};

// The barriers. Each pair guards memory that is filled and emptied by turns: `full` completes when
// what fills it has arrived, `empty` when all who read it are done. A warp arrives once at `empty`.
template <class Shape>
struct Barriers {
  static constexpr int kStages = Shape::kStages, kStrips = Shape::kStrips;
  static constexpr int kConsumerWarps = 4 * kStrips;
  static constexpr int kItemReaders = 1 + kConsumerWarps;  // the producer of queries, and consumers
  static constexpr int kListReaders = 2;                   // the producers of keys and of values

  std::uint32_t base;
  __device__ __forceinline__ explicit Barriers(std::uint32_t shared)
      : base(shared + Shape::kBarriers) {}

  // kValues: of the values, else of the keys.
  template <bool kValues>
  __device__ __forceinline__ std::uint32_t tile_full(int stage) const {
    return at(kValues * 2 * kStages + stage);
  }
  template <bool kValues>
  __device__ __forceinline__ std::uint32_t tile_empty(int stage) const {
    return at(kValues * 2 * kStages + kStages + stage);
  }
  __device__ __forceinline__ std::uint32_t queries_full(int strip) const {
    return at(4 * kStages + strip);
  }
  __device__ __forceinline__ std::uint32_t queries_empty(int strip) const {
    return at(4 * kStages + kStrips + strip);
  }
  __device__ __forceinline__ std::uint32_t item_full(int slot) const {
    return at(4 * kStages + 2 * kStrips + slot);
  }
  __device__ __forceinline__ std::uint32_t item_empty(int slot) const {
    return at(4 * kStages + 2 * kStrips + Shape::kItemSlots + slot);
  }
  __device__ __forceinline__ std::uint32_t listed_full(int slot) const {
    return at(4 * kStages + 2 * kStrips + 2 * Shape::kItemSlots + slot);
  }
  __device__ __forceinline__ std::uint32_t listed_empty(int slot) const {
    return at(4 * kStages + 2 * kStrips + 2 * Shape::kItemSlots + Shape::kListed + slot);
  }

  // One thread, before any other uses them.
  __device__ __forceinline__ void init() const {
    for (int stage = 0; stage < kStages; ++stage) {
      ptx::mbarrier_init(tile_full<false>(stage), 1);
      ptx::mbarrier_init(tile_full<true>(stage), 1);
      ptx::mbarrier_init(tile_empty<false>(stage), kConsumerWarps);
      ptx::mbarrier_init(tile_empty<true>(stage), kConsumerWarps);
    }
    for (int strip = 0; strip < kStrips; ++strip) {
      ptx::mbarrier_init(queries_full(strip), 1);
      ptx::mbarrier_init(queries_empty(strip), 4);
    }
    for (int slot = 0; slot < Shape::kItemSlots; ++slot) {
      ptx::mbarrier_init(item_full(slot), 1);
      ptx::mbarrier_init(item_empty(slot), kItemReaders);
    }
    for (int slot = 0; slot < Shape::kListed; ++slot) {
      ptx::mbarrier_init(listed_full(slot), 1);
      ptx::mbarrier_init(listed_empty(slot), kListReaders);
    }
    ptx::fence_mbarrier_init();
  }

 private:
  __device__ __forceinline__ std::uint32_t at(int index) const { return base + 8 * index; }
};

// All lanes of a warp are done with what the barrier guards.
__device__ __forceinline__ void release(std::uint32_t barrier) {
  ptx::warp_sync();
  if (ptx::thread_index() % 32 == 0) ptx::mbarrier_arrive(barrier);
}

// What a warpgroup is told of a tile.
struct TileNote {
  // Of the words of a list's notes: the strips' `seen`, then these.
  static constexpr int kCountWord = 3, kIndexWord = 4, kWords = 5;
  static constexpr std::uint32_t kLast = 1u << 31;   // of the item
  static constexpr std::uint32_t kWhole = 1u << 30;  // one run fills it
  std::uint32_t seen;                                // bit i: piece i, of Shape::kPieceKeys keys
  std::uint32_t count_flags;

  // Keys; the rows after them are no keys. At least 1.
  __device__ __forceinline__ int count() const { return static_cast<int>(count_flags & 0xffff); }
  __device__ __forceinline__ bool whole() const { return (count_flags & kWhole) != 0; }
  __device__ __forceinline__ bool last() const { return (count_flags & kLast) != 0; }
};

inline constexpr int32_t kNothing = -1;  // a piece of a tile that holds no keys

// An item as it is announced: its index, and whether any of its strips sees a key.
struct Announced {
  static constexpr std::uint32_t kNone = 0xffffffff;  // no items are left
  std::uint32_t word;

  __device__ __forceinline__ bool none() const { return word == kNone; }
  __device__ __forceinline__ int32_t index() const { return static_cast<int32_t>(word >> 1); }
  __device__ __forceinline__ bool keys() const { return (word & 1) != 0; }
};

// The items as they are announced to those who read them.
template <class Shape>
class Items {
 public:
  __device__ __forceinline__ explicit Items(std::uint32_t shared) : shared_(shared) {}

  // Waits for the next one. All lanes of a warp call it together.
  __device__ __forceinline__ Announced next() {
    const Barriers<Shape> barriers(shared_);
    ptx::mbarrier_wait(barriers.item_full(turn_.slot()), turn_.phase());
    const Announced item{ptx::load_shared(shared_ + Shape::kItems + 4 * turn_.slot())};
    release(barriers.item_empty(turn_.slot()));
    turn_.advance();
    return item;
  }

 private:
  std::uint32_t shared_;
  Turn<Shape::kItemSlots> turn_;
};

// A tile as it was listed: word i of the note in x, y, ...; of each lane, where its piece begins.
struct Listed {
  ptx::Bits128 note;
  int32_t item, piece;

  __device__ __forceinline__ bool none() const { return note.w == 0; }  // no tiles are left
};

// The tiles as they are listed for a producer.
template <class Shape>
class ListedTiles {
 public:
  __device__ __forceinline__ explicit ListedTiles(std::uint32_t shared) : shared_(shared) {}

  // Waits for the next one. All lanes of a warp call it together.
  __device__ __forceinline__ Listed next() {
    const Barriers<Shape> barriers(shared_);
    const int lane = ptx::thread_index() % 32;
    ptx::mbarrier_wait(barriers.listed_full(turn_.slot()), turn_.phase());
    const std::uint32_t from = shared_ + Shape::kTiles + turn_.slot() * Shape::kListedBytes;
    Listed tile{ptx::load_shared_16(from + Shape::kListedNote), 0, kNothing};
    tile.item = static_cast<int32_t>(
        ptx::load_shared(from + Shape::kListedNote + 4 * TileNote::kIndexWord));
    if (lane < Shape::kPieces) tile.piece = static_cast<int32_t>(ptx::load_shared(from + lane * 4));
    release(barriers.listed_empty(turn_.slot()));
    turn_.advance();
    return tile;
  }

 private:
  std::uint32_t shared_;
  Turn<Shape::kListed> turn_;
};

// kStrips neighbouring strips of one head and batch row.
template <class Shape>
struct ItemSm90 {
  static constexpr int kRows = Shape::kStrips * kStripRows;
  int32_t head, batch, first_strip;  // strips count from the call's first query block

  __device__ __forceinline__ ItemSm90(const AttentionParams &p, int32_t index) {
    const int32_t groups = p.items_per_head(kRows);
    const int32_t row = index / groups;
    head = p.heads.head[row / p.batch];
    batch = row % p.batch;
    // Last to first: the text blocks, which see everything, lie at the end and are the longest.
    first_strip = (groups - 1 - index % groups) * Shape::kStrips;
  }
};

// The queries of one consumer warpgroup; none, where the range of query blocks or the block ends.
template <class Shape>
struct Strip {
  int32_t query_block;
  Run rows;               // positions
  int32_t video;          // where the video segment begins
  const int32_t *stored;  // of the video segment's places; NULL: as stored

  __device__ __forceinline__ Strip(const AttentionParams &p, const ItemSm90<Shape> &item,
                                   int strip) {
    const int32_t index = item.first_strip + strip;
    query_block = p.query_block_begin + index / Shape::kBlockStrips;
    rows = {0, 0};
    if (index < p.query_block_count * Shape::kBlockStrips) {
      rows = p.layout.query_run(query_block);
      rows.begin += index % Shape::kBlockStrips * kStripRows;
      if (rows.end > rows.begin + kStripRows) rows.end = rows.begin + kStripRows;
    }
    video = p.layout.query_video_begin;
    const int32_t order = p.plan.head_orders[item.head].stored;
    const bool text = query_block >= p.layout.query_video_blocks;
    stored = text || order < 0 ? nullptr : p.plan.stored + order;
  }

  __device__ __forceinline__ int32_t count() const { return rows.end - rows.begin; }

  // Where in the caller's tensors the query of a row is.
  __device__ __forceinline__ int32_t token(int row) const {
    const int32_t position = rows.begin + row;
    return stored == nullptr ? position : video + stored[position - video];
  }
};

}  // namespace svdit::cuda

#endif
