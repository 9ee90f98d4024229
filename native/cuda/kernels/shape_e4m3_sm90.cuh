// The sizes of the sm_90a attention kernel that multiplies e4m3, and the formats of its operands.
#ifndef SVDIT_CUDA_SHAPE_E4M3_SM90_CUH
#define SVDIT_CUDA_SHAPE_E4M3_SM90_CUH

#include "cuda/kernels/pipeline_sm90.cuh"
#include "cuda/kernels/quantised.h"
#include "cuda/kernels/shape_sm90.cuh"

namespace svdit::cuda {

inline constexpr int kTileE4m3 = 2 * kScaleTokens;  // keys a step

// Of a tile, after its note, floats: factors[strip][piece], which make exponents of powers of two
// of q.k; log2 of the scale of each piece's values; one over that scale.
struct TileScales {
  static constexpr int kStrips = 2, kPieces = kTileE4m3 / kScaleTokens;
  static constexpr int kFactors = 16, kValues = kFactors + 4 * kStrips * kPieces;
  static constexpr int kEnd = kValues + 4 * 2 * kPieces;
};

template <int kHeadDimension, int kBlockTokens>
struct ShapeE4m3 : SharedMemory<TileScales::kStrips, kStripRows * kHeadDimension, 4,
                                kTileE4m3 * kHeadDimension, TileScales::kEnd> {
  using Output = Bf16Sm90;
  using Source = QuantisedHeads;
  static constexpr int kHeadDim = kHeadDimension, kBlock = kBlockTokens;
  static constexpr int kBlockStrips = kBlock / kStripRows;
  static constexpr int kTile = kTileE4m3;
  static constexpr int kPieceKeys = kScaleTokens, kPieces = TileScales::kPieces;
  static constexpr int kUnitBytes = kScaleTokens * kHeadDim;
  static_assert(kStripRows == kScaleTokens);  // a strip's queries share a scale

  static constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;

  // Rows of queries and keys are a head dim's bytes, as wide as their swizzle.
  static constexpr Swizzle kRows = kHeadDim == 128 ? Swizzle::k128 : Swizzle::k64;
  static constexpr int kRowGroupBytes = 8 * kHeadDim;
  // Those of values are a unit's keys.
  static constexpr Swizzle kValueRows = Swizzle::k64;
  static constexpr int kValueRowGroupBytes = 8 * kScaleTokens;
};

// The unit of a strip's queries; another where the strip has none.
template <class Shape>
__device__ __forceinline__ int32_t query_unit(const AttentionParams &p, const ItemSm90<Shape> &item,
                                              int strip) {
  const int32_t last = p.query_block_count * Shape::kBlockStrips - 1;
  const int32_t index = item.first_strip + strip;
  return p.query_block_begin * Shape::kBlockStrips + (index < last ? index : last);
}

// Of a row of kBytes bytes: where chunk (16 bytes) `chunk` of row `row` lies in its unit.
template <int kBytes>
__device__ __forceinline__ int swizzled_chunk(int row, int chunk) {
  static_assert(kBytes == 64 || kBytes == 128);
  return row * kBytes + ((chunk ^ (kBytes == 128 ? row : row / 2)) % (kBytes / 16)) * 16;
}

}  // namespace svdit::cuda

#endif
