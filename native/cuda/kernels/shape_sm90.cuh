// The sizes of the sm_90a attention kernel of 16-bit elements.
#ifndef SVDIT_CUDA_SHAPE_SM90_CUH
#define SVDIT_CUDA_SHAPE_SM90_CUH

#include "cuda/kernels/key_maps.h"
#include "cuda/kernels/pipeline_sm90.cuh"

namespace svdit::cuda {

struct Bf16Sm90 {
  template <bool kTransposed, class A, int kRegisters>
  static __device__ __forceinline__ void multiply(float (&d)[kRegisters], const A &a,
                                                  std::uint64_t b, bool accumulate) {
    ptx::wgmma_bf16<kTransposed>(d, a, b, accumulate);
  }
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) {
    return ptx::pack_bf16(low, high);
  }
};

struct Fp16Sm90 {
  template <bool kTransposed, class A, int kRegisters>
  static __device__ __forceinline__ void multiply(float (&d)[kRegisters], const A &a,
                                                  std::uint64_t b, bool accumulate) {
    ptx::wgmma_fp16<kTransposed>(d, a, b, accumulate);
  }
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) {
    return ptx::pack_fp16(low, high);
  }
};

// Of a head dim: queries and keys a step, tiles under way.
template <int kHeadDim>
struct TilesSm90 {
  static constexpr int kStrips = kHeadDim == 128 ? 2 : 3;
  static constexpr int kTile = kHeadDim == 128 ? 176 : 128;  // keys
  static constexpr int kStages = kHeadDim == 128 ? 2 : 4;
  using Memory =
      SharedMemory<kStrips, kStripRows * kHeadDim * 2, kStages, kTile * kHeadDim * 2, 16>;
};

template <class ElementType, int kHeadDimension, int kBlockTokens>
struct ShapeSm90 : TilesSm90<kHeadDimension>::Memory {
  using Element = ElementType;
  using Output = ElementType;  // packs the output's elements
  using Source = KeyMaps;      // of keys and values
  static constexpr int kHeadDim = kHeadDimension, kBlock = kBlockTokens;
  static constexpr int kTile = TilesSm90<kHeadDim>::kTile;
  static constexpr int kPieceKeys = cuda::kPieceKeys, kPieces = kTile / kPieceKeys;

  // Of a thread, once the cursor and the producers have given away what they do not need. The
  // multiprocessor has 65536, and hands them out in eights.
  static constexpr int kProducerRegisters = ShapeSm90::kStrips == 2 ? 40 : 32;
  static constexpr int kConsumerRegisters = ShapeSm90::kStrips == 2 ? 232 : 160;

  static constexpr int kBlockStrips = kBlock / kStripRows;

  // Rows of 16-bit elements lie in panels 64 elements (128 bytes, the swizzle's width) wide.
  static constexpr int kPanels = kHeadDim / 64;
  static constexpr int kRowBytes = 128;
  static constexpr int kStripPanelBytes = kStripRows * kRowBytes;
  static constexpr int kTilePanelBytes = kTile * kRowBytes;
  static_assert(kTile % kPieceKeys == 0 && kPieces <= ShapeSm90::kMostPieces &&
                kTilePanelBytes % 1024 == 0);
};

}  // namespace svdit::cuda

#endif
