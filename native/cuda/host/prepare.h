// From a plan and a call's arguments to what the kernels are given. Plain C++: the runtime uses it
// with device memory, the simulator with its own.
#ifndef SVDIT_CUDA_PREPARE_H
#define SVDIT_CUDA_PREPARE_H

#include <cstdint>
#include <vector>

#include "cuda/kernels/params.h"
#include "cuda/kernels/quantised.h"
#include "plan/plan.h"
#include "svdit.h"

namespace svdit::cuda {

// What the device needs of a plan beside the plan's own arrays, and in which order to take the
// heads.
struct PlanTables {
  std::vector<HeadOrder> head_orders;
  std::vector<int32_t> stored;   // see PlanArrays
  std::vector<int32_t> by_cost;  // heads, costliest first
  std::vector<int32_t> groups;   // in the order of their costliest heads
  int32_t slots = 0;             // heads that a call copies into the workspace
};

// Throws Error UNSUPPORTED for what the kernels do not compute: element types but BF16, FP16 and
// E4M3, head dims but 64 and 128, blocks but 64 and 128.
PlanTables make_tables(const Plan &plan);

// Bytes of workspace a call needs: one counter for each launch, then the permuted keys and values,
// or, of E4M3, all heads rounded.
uint64_t workspace_bytes(const Plan &plan, const PlanTables &tables, int32_t batch);
inline constexpr uint64_t kCounterBytes = 256;

// Whether a call may be a launch a group: there is a counter for each of them.
bool may_launch_groups(const Plan &plan);

// The tensor that name names in messages, as kernels take it. Throws Error for an address or
// strides that are no multiples of 16 bytes.
View view_of(const svdit_tensor &tensor, const char *name);

// |scale| log2(e): kernels work with powers of two.
float scale_log2(float scale);

// What one svdit_attention is: clear the counters, permute, attend; of E4M3, round each launch's
// heads and attend. arrays and args' pointers are the device's.
class Call {
 public:
  // Throws Error for addresses and strides that are no multiples of 16 bytes and for sizes the
  // kernels cannot count.
  Call(const Plan &plan, const PlanTables &tables, const PlanArrays &arrays,
       const svdit_attention_args &args);

  // Fills params for the index-th launch; false where there are no more. Not every call permutes.
  bool permute_launch(int32_t index, PermuteParams *params) const;
  // Of the heads of one group, or of all. launch counts the launches of the call so far.
  bool attention_launch(int32_t group, int32_t index, int32_t launch,
                        AttentionParams *params) const;
  bool attention_launch(int32_t index, AttentionParams *params) const {
    return attention_launch(kAllGroups, index, index, params);
  }
  static constexpr int32_t kAllGroups = -1;

  // Of E4M3: where a call's heads go when they are rounded.
  const QuantisedHeads &quantised() const { return quantised_; }

  void *counters() const { return args_.workspace; }

 private:
  template <class Wanted>
  bool list_heads(int32_t index, HeadList *list, const Wanted &wanted) const;

  const Plan &plan_;
  const PlanTables &tables_;
  const PlanArrays &arrays_;
  const svdit_attention_args &args_;
  PermutedKeys permuted_{};
  QuantisedHeads quantised_{};
};

}  // namespace svdit::cuda

#endif
