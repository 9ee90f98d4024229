// Tensor maps of a call's keys and values, for the kernels that load them with the copy engine.
#ifndef SVDIT_CUDA_KEY_MAPS_H
#define SVDIT_CUDA_KEY_MAPS_H

#include "cuda/kernels/params.h"
#include "cuda/ptx/tensor_map.h"

namespace svdit::cuda {

// Keys that the copy engine brings at once where a run is shorter than a tile.
inline constexpr int kPieceKeys = 16;

// Keys or values of one segment, in boxes of 64 elements of a row by a tile's rows, and by a
// piece's. Coordinates: element, token of the segment, head (of permuted copies 2 slot + value),
// batch row. What lies past the segment's end is read as 0.
struct SegmentMaps {
  TensorMap tile, piece;
};

struct KeyMaps {
  SegmentMaps video[2], text[2];  // keys, values
  SegmentMaps permuted;           // the video of both
};

// Maps of the segments that have tokens; the others stay empty. They hold the call's addresses, so
// they are made for each call; nothing is allocated. Throws Error.
KeyMaps make_key_maps(const AttentionParams &params, int32_t head_dim, int32_t tile_keys);

}  // namespace svdit::cuda

#endif
