// The producers of the sm_90a kernel: three warps that bring keys, values and queries into shared
// memory, each at its own pace.
//
// Keys and values come by the copy engine: a whole tile at once where one run fills it, else in
// pieces of kPieceKeys rows, a lane each. What lies past the end of a segment becomes zero. Queries
// are gathered row by row, because an order may scatter them.
#ifndef SVDIT_CUDA_PRODUCER_SM90_CUH
#define SVDIT_CUDA_PRODUCER_SM90_CUH

#include "cuda/kernels/shape_sm90.cuh"

namespace svdit::cuda {

// A warp copies kRows rows to where the swizzle has them: row r from from + offset(r), the rows
// from count on become zero. They are there, for the tensor cores too, when it returns.
template <class Shape, int kRows, class Offset>
__device__ __forceinline__ void copy_rows(std::uint32_t to, int panel_bytes, const char *from,
                                          int32_t count, const Offset &offset) {
  constexpr int kChunks = Shape::kHeadDim / 8;  // of 16 bytes, of a row
  const int lane = ptx::thread_index() % 32, chunk = lane % kChunks;
  to += chunk / 8 * panel_bytes;
  from += chunk * 16;
#pragma unroll 2
  for (int row = lane / kChunks; row < kRows; row += 32 / kChunks) {
    const bool real = row < count;
    ptx::copy_async_16(to + row * Shape::kRowBytes + ((chunk ^ row) % 8 << 4),
                       real ? from + offset(row) : from, real ? 16 : 0);
  }
  ptx::copy_async_commit();
  ptx::copy_async_wait<0>();
  ptx::fence_async_proxy();
  ptx::warp_sync();
}

// Fills tiles of keys, or of values, as they are listed.
template <class Shape, bool kValues>
__device__ __forceinline__ void produce_tiles(const AttentionParams &p, const KeyMaps &maps,
                                              std::uint32_t shared) {
  const Barriers<Shape> barriers(shared);
  const int lane = ptx::thread_index() % 32;
  const Layout &layout = p.layout;
  ListedTiles<Shape> tiles(shared);
  Turn<Shape::kStages> turn;
  for (Listed tile = tiles.next(); !tile.none(); tile = tiles.next()) {
    const auto &[note, index, piece] = tile;
    const TileNote told{0, note.w};
    const ItemSm90<Shape> item(p, index);
    const std::uint32_t to =
        shared + (kValues ? Shape::kValues : Shape::kKeys) + turn.slot() * Shape::kTileBytes;
    const std::uint32_t full = barriers.template tile_full<kValues>(turn.slot());
    ptx::mbarrier_wait(barriers.template tile_empty<kValues>(turn.slot()), turn.phase() ^ 1);

    // Padding may hold NaN, which no weight of 0 makes 0: a piece of text values that ends before
    // its 16 rows do is copied up to its end only.
    int cut = -1;
    if (kValues && told.count() % kPieceKeys != 0) {
      const int ends = told.count() / kPieceKeys;
      const auto begin =
          static_cast<int32_t>(ptx::shuffle(static_cast<std::uint32_t>(piece), ends));
      if (layout.is_key_text(begin)) {
        cut = ends;
        copy_rows<Shape, kPieceKeys>(to + cut * kPieceKeys * Shape::kRowBytes,
                                     Shape::kTilePanelBytes, p.v.row(item.batch, item.head, begin),
                                     told.count() % kPieceKeys,
                                     [&](int row) { return int64_t{row} * p.v.token_stride; });
      }
    }
    if (lane == 0) {
      if (!kValues)
        ptx::store_shared_16(shared + Shape::kTileNotes + Shape::kTileNoteBytes * turn.slot(),
                             note);
      ptx::mbarrier_arrive_expect(
          full, Shape::kTileBytes - (cut < 0 ? 0 : kPieceKeys * Shape::kHeadDim * 2));
    }
    ptx::warp_sync();
    turn.advance();
    if (lane < (told.whole() ? 1 : Shape::kPieces) && lane != cut) {
      // Where there is nothing, rows are taken from past a segment's end: they become zero.
      const bool text = piece == kNothing ? layout.key_text > 0 : layout.is_key_text(piece);
      const Run segment = text ? layout.key_text_run() : layout.key_video_run();
      const int32_t token = piece == kNothing ? segment.end - segment.begin : piece - segment.begin;
      const int32_t slot = text ? -1 : p.plan.head_orders[item.head].slot;
      const int32_t head = slot < 0 ? item.head : 2 * slot + (kValues ? 1 : 0);
      const SegmentMaps &source = slot >= 0 ? maps.permuted
                                  : text    ? maps.text[kValues]
                                            : maps.video[kValues];
      const TensorMap &map = told.whole() ? source.tile : source.piece;
#pragma unroll
      for (int panel = 0; panel < Shape::kPanels; ++panel) {
        ptx::tensor_load(to + panel * Shape::kTilePanelBytes + lane * kPieceKeys * Shape::kRowBytes,
                         map, {panel * 64, token, head, item.batch}, full);
      }
    }
  }
}

// Fills the strips' queries, item by item.
template <class Shape>
__device__ __forceinline__ void produce_queries(const AttentionParams &p, const KeyMaps &,
                                                std::uint32_t shared) {
  const Barriers<Shape> barriers(shared);
  Items<Shape> items(shared);
  std::uint32_t phase = 1;
  for (Announced next = items.next(); !next.none(); next = items.next()) {
    if (!next.keys()) continue;
    const ItemSm90<Shape> item(p, next.index());
    for (int s = 0; s < Shape::kStrips; ++s) {
      const Strip<Shape> strip(p, item, s);
      ptx::mbarrier_wait(barriers.queries_empty(s), phase);
      copy_rows<Shape, kStripRows>(
          shared + Shape::kQueries + s * Shape::kStripBytes, Shape::kStripPanelBytes,
          p.q.row(item.batch, item.head, 0), strip.count(),
          [&](int row) { return int64_t{strip.token(row)} * p.q.token_stride; });
      release(barriers.queries_full(s));
    }
    phase ^= 1;
  }
}

}  // namespace svdit::cuda

#endif
