// What the kernels are given. Filled by prepare.h, read on the device; nothing here needs CUDA.
#ifndef SVDIT_CUDA_PARAMS_H
#define SVDIT_CUDA_PARAMS_H

#include <cstdint>

#include "plan/cursor.h"

namespace svdit::cuda {

// A [batch, heads, tokens, head dim] tensor of 16-bit elements; strides in bytes.
struct View {
  char *data;
  int64_t batch_stride, head_stride;
  int32_t token_stride;

  SVDIT_HD char *row(int32_t batch, int32_t head, int64_t token) const {
    return data + batch * batch_stride + head * head_stride + token * token_stride;
  }
};

// How a head's video tokens are lined up, as far as it matters here.
struct HeadOrder {
  int32_t stored;  // where the order's places begin in PlanArrays::stored; -1: as stored
  int32_t slot;    // which of the permuted key copies is this head's; -1: keys are read in place
};

// The plan's arrays, in the memory of the device that runs it.
struct PlanArrays {
  const HeadPattern *heads;
  const HeadOrder *head_orders;
  PatternArrays patterns;
  const int32_t *stored;  // of every order: the stored video token of each place
};

// Heads one launch can name; more take more launches.
inline constexpr int kHeadsPerLaunch = 256;

struct HeadList {
  int32_t count;
  uint16_t head[kHeadsPerLaunch];
};

// Keys and values lined up in a head's order: [batch][slot][K, V][key position][head dim],
// contiguous.
struct PermutedKeys {
  char *data;
  int32_t slots;
  int64_t bytes;  // of one K, or V, of one head and batch row

  SVDIT_HD char *at(int32_t batch, int32_t slot, bool value) const {
    return data + ((batch * (int64_t)slots + slot) * 2 + value) * bytes;
  }
};

struct AttentionParams {
  // Valid text keys of a batch row.
  SVDIT_HD int32_t text_valid_of(int32_t row) const {
    if (text_valid == nullptr) return layout.key_text;
    const int32_t said = text_valid[row];
    return said < 0 ? 0 : said < layout.key_text ? said : layout.key_text;
  }

  View q, k, v, out;
  float *lse;                 // NULL, or [batch, all heads, query tokens]
  const int32_t *text_valid;  // NULL, or [batch]
  float scale_log2;           // |scale| log2(e): the kernel works with powers of two
  bool negative_scale;
  Layout layout;
  PlanArrays plan;
  PermutedKeys permuted;
  uint32_t *next_item;  // zero at the start of the launch
  int32_t batch, plan_heads, query_tokens;
  int32_t query_block_begin, query_block_count;
  HeadList heads;  // costliest first

  // Of an item that computes item_rows queries, a multiple of 64, and at least a block's.
  SVDIT_HD int32_t items_per_head(int32_t item_rows) const {
    return static_cast<int32_t>((int64_t{query_block_count} * layout.block + item_rows - 1) /
                                item_rows);
  }
  SVDIT_HD int32_t items(int32_t item_rows) const {
    return heads.count * batch * items_per_head(item_rows);
  }
};

// Copies the keys and values of the heads listed into their slots.
struct PermuteParams {
  View k, v;
  Layout layout;
  PlanArrays plan;
  PermutedKeys permuted;
  int32_t batch, row_bytes;
  HeadList heads;
};

}  // namespace svdit::cuda

#endif
