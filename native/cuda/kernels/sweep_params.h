// What the sweep's kernel is given. Filled by sweep_call.h, read on the device.
#ifndef SVDIT_CUDA_SWEEP_PARAMS_H
#define SVDIT_CUDA_SWEEP_PARAMS_H

#include "cuda/kernels/params.h"
#include "plan/sweep_cursor.h"

namespace svdit::cuda {

// Keys a step of the kernel takes; blocks are one or two of them.
inline constexpr int kSweepTile = 64;

// All pointers are the device's. An item is a query block of a head and batch row; results lie as
// svdit_sweep_args describes them, [batch][head][query block].
struct SweepParams {
  View q, k, v;
  const int32_t *text_valid;  // [batch]
  float scale_log2;           // as in AttentionParams
  bool negative_scale;
  Layout layout;
  SweepRule rule;
  const int32_t *stored;  // of the video segment's places; NULL: as stored
  const int32_t *query_blocks;
  // NULL, or [head][2][D][D] bf16: the Gram matrix rounded, and what rounding took away.
  const char *gram;
  double *error, *norm;
  float *reference;  // NULL: not wanted
  double *mass;      // NULL: not wanted

  // Per block of the launch: outputs, one for each stop and one for all keys, each thread's part in
  // its own registers' order; then (mass) for each tile of video keys and each query row the base-2
  // logarithm of the row's weights on it.
  char *scratch;
  int64_t scratch_bytes, tile_sums;  // of one block; where the logarithms begin in it

  uint32_t *next_item;  // zero at the start of the launch
  int32_t batch, head_begin, head_count, query_block_count;
  int32_t video_tiles;  // of kSweepTile keys, the last may be short

  SVDIT_HD int32_t items() const { return batch * head_count * query_block_count; }
};

}  // namespace svdit::cuda

#endif
