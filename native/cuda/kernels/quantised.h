// The heads of a call as e4m3: what quantise_e4m3 writes into the workspace, and what the attention
// kernel copies to shared memory as it lies there.
#ifndef SVDIT_CUDA_QUANTISED_H
#define SVDIT_CUDA_QUANTISED_H

#include "cuda/kernels/params.h"
#include "plan/e4m3.h"

namespace svdit::cuda {

enum class UnitKind : int32_t { kQueries, kKeys, kValues };

// A unit is kScaleTokens consecutive tokens of a segment, lined up in the head's order, of Q, K or
// V; tokens that are not there are 0. Q and K are a row of head dim bytes a token; V is a row of
// kScaleTokens bytes for each of the head dim's elements, because e4m3 products sum along rows. All
// lie in 16-byte chunks swizzled over the row's width, as wgmma wants them.
struct QuantisedHeads {
  char *units;         // [batch][slot][those of Q, of K, of V], unit_bytes each
  int32_t *exponents;  // of their scales, likewise
  int32_t slots;       // heads but those of SKIP (HeadOrder::slot)
  int32_t query_units, key_units, unit_bytes;

  SVDIT_HD int64_t index(int32_t batch, int32_t slot, UnitKind kind, int32_t unit) const {
    const int32_t before = kind == UnitKind::kQueries ? 0
                           : kind == UnitKind::kKeys  ? query_units
                                                      : query_units + key_units;
    return (batch * int64_t{slots} + slot) * units_per_head() + before + unit;
  }
  SVDIT_HD char *at(int64_t index) const { return units + index * unit_bytes; }
  SVDIT_HD int64_t units_of_batch(int32_t batch) const {
    return batch * int64_t{slots} * units_per_head();
  }
  SVDIT_HD int32_t units_per_head() const { return query_units + 2 * key_units; }
};

SVDIT_HD constexpr int32_t units_of(int32_t tokens) {
  return (tokens + kScaleTokens - 1) / kScaleTokens;
}

// The unit a key position begins. Video units come first, wherever the text lies.
SVDIT_HD inline int32_t key_unit(const Layout &layout, int32_t position) {
  return layout.is_key_text(position)
             ? units_of(layout.key_video) + (position - layout.key_text_begin) / kScaleTokens
             : (position - layout.key_video_begin) / kScaleTokens;
}

}  // namespace svdit::cuda

#endif
