// The producers of the e4m3 kernel: three warps that bring keys, values and queries into shared
// memory, in whole units, as quantise_e4m3 left them.
#ifndef SVDIT_CUDA_PRODUCER_E4M3_SM90_CUH
#define SVDIT_CUDA_PRODUCER_E4M3_SM90_CUH

#include "cuda/kernels/shape_e4m3_sm90.cuh"

namespace svdit::cuda {

// Lane i gets where piece i % kPieces begins. A tile's first piece stands in for one that is not
// there: weights of 0 must meet numbers.
template <class Shape>
__device__ __forceinline__ int32_t piece_of_lane(int32_t listed) {
  const auto own = static_cast<std::uint32_t>(listed);
  const auto piece = static_cast<int32_t>(ptx::shuffle(own, ptx::thread_index() % Shape::kPieces));
  const auto first = static_cast<int32_t>(ptx::shuffle(own, 0));
  return piece == kNothing ? first : piece;
}

// Fills tiles of keys, or of values, as they are listed.
template <class Shape, bool kValues>
__device__ __forceinline__ void produce_tiles(const AttentionParams &p, const QuantisedHeads &from,
                                              std::uint32_t shared) {
  const Barriers<Shape> barriers(shared);
  const int lane = ptx::thread_index() % 32;
  ListedTiles<Shape> tiles(shared);
  Turn<Shape::kStages> turn;
  for (Listed tile = tiles.next(); !tile.none(); tile = tiles.next()) {
    const ItemSm90<Shape> item(p, tile.item);
    const int32_t slot = p.plan.head_orders[item.head].slot;
    const int32_t unit = key_unit(p.layout, piece_of_lane<Shape>(tile.piece));
    const int64_t keys = from.index(item.batch, slot, UnitKind::kKeys, unit);
    const int64_t values = from.index(item.batch, slot, UnitKind::kValues, unit);
    // Asked for before the wait, so that they come meanwhile.
    std::int32_t query_exponent = 0, key_exponent = 0, value_exponent = 0;
    if (!kValues && lane < Shape::kStrips * Shape::kPieces) {
      query_exponent = from.exponents[from.index(item.batch, slot, UnitKind::kQueries,
                                                 query_unit(p, item, lane / Shape::kPieces))];
      key_exponent = from.exponents[keys];
      value_exponent = from.exponents[values];
    }
    const std::uint32_t full = barriers.template tile_full<kValues>(turn.slot());
    ptx::mbarrier_wait(barriers.template tile_empty<kValues>(turn.slot()), turn.phase() ^ 1);
    if (!kValues) {
      const std::uint32_t note = shared + Shape::kTileNotes + Shape::kTileNoteBytes * turn.slot();
      if (lane == 0) ptx::store_shared_16(note, tile.note);
      if (lane < Shape::kStrips * Shape::kPieces) {
        // Not 0, or a score that is not seen, minus infinity, would be no number.
        const float factor = fmaxf(
            p.scale_log2 * power_of_two(query_exponent) * power_of_two(key_exponent), 0x1p-126f);
        ptx::store_shared(note + TileScales::kFactors + 4 * lane,
                          std::bit_cast<std::uint32_t>(factor));
      }
      if (lane < Shape::kPieces) {
        const std::uint32_t at = note + TileScales::kValues + 4 * lane;
        ptx::store_shared(at, std::bit_cast<std::uint32_t>(static_cast<float>(value_exponent)));
        ptx::store_shared(at + 4 * Shape::kPieces,
                          std::bit_cast<std::uint32_t>(power_of_two(-value_exponent)));
      }
      ptx::warp_sync();
    }
    if (lane == 0) ptx::mbarrier_arrive_expect(full, Shape::kTileBytes);
    ptx::warp_sync();
    if (lane < Shape::kPieces) {
      ptx::bulk_load(shared + (kValues ? Shape::kValues : Shape::kKeys) +
                         turn.slot() * Shape::kTileBytes + lane * Shape::kUnitBytes,
                     from.at(kValues ? values : keys), Shape::kUnitBytes, full);
    }
    turn.advance();
  }
}

// Fills the strips' queries, item by item.
template <class Shape>
__device__ __forceinline__ void produce_queries(const AttentionParams &p,
                                                const QuantisedHeads &from, std::uint32_t shared) {
  const Barriers<Shape> barriers(shared);
  Items<Shape> items(shared);
  std::uint32_t phase = 1;
  for (Announced next = items.next(); !next.none(); next = items.next()) {
    if (!next.keys()) continue;
    const ItemSm90<Shape> item(p, next.index());
    const int32_t slot = p.plan.head_orders[item.head].slot;
    for (int s = 0; s < Shape::kStrips; ++s) {
      ptx::mbarrier_wait(barriers.queries_empty(s), phase);
      if (ptx::thread_index() % 32 == 0) {
        const int64_t unit =
            from.index(item.batch, slot, UnitKind::kQueries, query_unit(p, item, s));
        ptx::mbarrier_arrive_expect(barriers.queries_full(s), Shape::kUnitBytes);
        ptx::bulk_load(shared + Shape::kQueries + s * Shape::kStripBytes, from.at(unit),
                       Shape::kUnitBytes, barriers.queries_full(s));
      }
      ptx::warp_sync();
    }
    phase ^= 1;
  }
}

}  // namespace svdit::cuda

#endif
