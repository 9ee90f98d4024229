#include "cuda/host/prepare.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace svdit::cuda {
namespace {

constexpr int32_t kLaunches = kCounterBytes / sizeof(uint32_t);

// A head whose keys lie scattered where its blocks are cut: it reads a permuted copy. FULL and SKIP
// see the same keys in any order.
bool needs_permuted_keys(const Plan &plan, const HeadPattern &head) {
  return head.mode != Mode::kFull && head.mode != Mode::kSkip && plan.cross_keys == 0 &&
         !plan.orders[head.order].stored.empty();
}

// Which of the heads are copied, and so have a slot.
bool is_copied(const Plan &plan, const HeadPattern &head) {
  return plan.element_type == SVDIT_E4M3 ? head.mode != Mode::kSkip
                                         : needs_permuted_keys(plan, head);
}

// Of the slots of all batch rows, from address on.
QuantisedHeads quantised_heads(const Plan &plan, const PlanTables &tables, int32_t batch,
                               char *address) {
  QuantisedHeads heads{};
  heads.slots = tables.slots;
  heads.query_units = plan.layout.query_blocks * (plan.layout.block / kScaleTokens);
  heads.key_units = units_of(plan.layout.key_video) + units_of(plan.layout.key_text);
  heads.unit_bytes = kScaleTokens * plan.head_dim;
  heads.units = address;
  heads.exponents =
      reinterpret_cast<int32_t *>(address + heads.units_of_batch(batch) * heads.unit_bytes);
  return heads;
}

}  // namespace

View view_of(const svdit_tensor &tensor, const char *name) {
  const struct {
    const char *what;
    uint64_t bytes;
  } aligned[] = {{"the address", reinterpret_cast<uintptr_t>(tensor.data)},
                 {"stride_batch", static_cast<uint64_t>(tensor.stride_batch) * 2},
                 {"stride_head", static_cast<uint64_t>(tensor.stride_head) * 2},
                 {"stride_token", static_cast<uint64_t>(tensor.stride_token) * 2}};
  for (const auto &[what, bytes] : aligned) {
    if (bytes % 16 != 0) {
      fail(SVDIT_INVALID_ARGUMENT, "%s: %s is %llu bytes, CUDA needs a multiple of 16", name, what,
           static_cast<unsigned long long>(bytes));
    }
  }
  if (tensor.stride_token > INT32_MAX / 2) {
    fail(SVDIT_UNSUPPORTED, "%s: stride_token is %lld elements, CUDA takes up to %d", name,
         static_cast<long long>(tensor.stride_token), INT32_MAX / 2);
  }
  return {static_cast<char *>(tensor.data), tensor.stride_batch * 2, tensor.stride_head * 2,
          static_cast<int32_t>(tensor.stride_token * 2)};
}

float scale_log2(float scale) { return static_cast<float>(std::fabs(scale) * 1.4426950408889634); }

PlanTables make_tables(const Plan &plan) {
  if (plan.element_type == SVDIT_FP32) {
    fail(SVDIT_UNSUPPORTED, "element_type is %u, CUDA computes 0 (BF16), 1 (FP16) and 3 (E4M3)",
         plan.element_type);
  }
  if (plan.head_dim != 64 && plan.head_dim != 128) {
    fail(SVDIT_UNSUPPORTED, "head_dim is %d, CUDA computes 64 and 128", plan.head_dim);
  }
  if (plan.layout.block != 64 && plan.layout.block != 128) {
    fail(SVDIT_UNSUPPORTED, "block is %d tokens, CUDA computes 64 and 128", plan.layout.block);
  }
  if (plan.head_count() > kLaunches * kHeadsPerLaunch) {
    fail(SVDIT_UNSUPPORTED, "heads is %d, CUDA takes up to %d", plan.head_count(),
         kLaunches * kHeadsPerLaunch);
  }
  PlanTables tables;
  std::vector<int32_t> offsets;
  for (const PlanOrder &order : plan.orders) {
    offsets.push_back(order.stored.empty() ? -1 : static_cast<int32_t>(tables.stored.size()));
    tables.stored.insert(tables.stored.end(), order.stored.begin(), order.stored.end());
    if (tables.stored.size() > INT32_MAX) {
      fail(SVDIT_UNSUPPORTED, "the orders of the plan's heads name more than %d places", INT32_MAX);
    }
  }
  for (const HeadPattern &head : plan.heads) {
    tables.head_orders.push_back(
        {offsets[head.order], is_copied(plan, head) ? tables.slots++ : -1});
  }
  for (const WorkItem &item :
       plan.work) {  // a head's items are neighbours, the costliest head's first
    if (tables.by_cost.empty() || tables.by_cost.back() != item.head)
      tables.by_cost.push_back(item.head);
  }
  for (const int32_t head : tables.by_cost) {
    const int32_t group = plan.group_of_head[head];
    if (std::find(tables.groups.begin(), tables.groups.end(), group) == tables.groups.end()) {
      tables.groups.push_back(group);
    }
  }
  return tables;
}

uint64_t workspace_bytes(const Plan &plan, const PlanTables &tables, int32_t batch) {
  if (plan.element_type == SVDIT_E4M3) {
    const QuantisedHeads heads = quantised_heads(plan, tables, batch, nullptr);
    return kCounterBytes +
           heads.units_of_batch(batch) * (heads.unit_bytes + sizeof *heads.exponents);
  }
  return kCounterBytes +
         static_cast<uint64_t>(batch) * tables.slots * 2 * plan.key_tokens() * plan.head_dim * 2;
}

Call::Call(const Plan &plan, const PlanTables &tables, const PlanArrays &arrays,
           const svdit_attention_args &args)
    : plan_(plan), tables_(tables), arrays_(arrays), args_(args) {
  char *const copies = static_cast<char *>(args.workspace) + kCounterBytes;
  if (plan.element_type == SVDIT_E4M3) {
    quantised_ = quantised_heads(plan, tables, args.batch, copies);
  } else {
    permuted_ = {copies, tables.slots, static_cast<int64_t>(plan.key_tokens()) * plan.head_dim * 2};
  }
  for (const auto &[tensor, name] : {std::pair(&args.q, "q"), std::pair(&args.k, "k"),
                                     std::pair(&args.v, "v"), std::pair(&args.out, "out")}) {
    view_of(*tensor, name);
  }
  if (reinterpret_cast<uintptr_t>(args.workspace) % 16 != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "workspace is %p, CUDA needs a multiple of 16", args.workspace);
  }
  const int64_t items = static_cast<int64_t>(args.batch) *
                        (args.query_block_end - args.query_block_begin) * kHeadsPerLaunch;
  if (items > INT32_MAX / 2) {
    fail(SVDIT_UNSUPPORTED, "batch %d with %d query blocks is more than CUDA takes at once",
         args.batch, args.query_block_end - args.query_block_begin);
  }
}

template <class Wanted>
bool Call::list_heads(int32_t index, HeadList *list, const Wanted &wanted) const {
  list->count = 0;
  int32_t skip = index * kHeadsPerLaunch;
  for (const int32_t head : tables_.by_cost) {
    if (head < args_.head_begin || head >= args_.head_end || !wanted(head)) continue;
    if (skip-- > 0) continue;
    list->head[list->count++] = static_cast<uint16_t>(head);
    if (list->count == kHeadsPerLaunch) break;
  }
  return list->count > 0;
}

bool Call::permute_launch(int32_t index, PermuteParams *params) const {
  if (plan_.element_type == SVDIT_E4M3) return false;
  params->k = view_of(args_.k, "k");
  params->v = view_of(args_.v, "v");
  params->layout = plan_.layout;
  params->plan = arrays_;
  params->permuted = permuted_;
  params->batch = args_.batch;
  params->row_bytes = plan_.head_dim * 2;
  return list_heads(index, &params->heads,
                    [&](int32_t head) { return tables_.head_orders[head].slot >= 0; });
}

bool may_launch_groups(const Plan &plan) {
  // A group of more heads than a launch names takes several launches.
  return plan.groups > 1 && plan.groups + plan.head_count() / kHeadsPerLaunch <= kLaunches;
}

bool Call::attention_launch(int32_t group, int32_t index, int32_t launch,
                            AttentionParams *params) const {
  params->q = view_of(args_.q, "q");
  params->k = view_of(args_.k, "k");
  params->v = view_of(args_.v, "v");
  params->out = view_of(args_.out, "out");
  params->lse = args_.lse;
  params->text_valid = args_.text_valid;
  params->negative_scale = args_.scale < 0;
  params->scale_log2 = cuda::scale_log2(args_.scale);
  params->layout = plan_.layout;
  params->plan = arrays_;
  params->permuted = permuted_;
  params->next_item = static_cast<uint32_t *>(args_.workspace) + launch;
  params->batch = args_.batch;
  params->plan_heads = plan_.head_count();
  params->query_tokens = plan_.query_tokens();
  params->query_block_begin = args_.query_block_begin;
  params->query_block_count = args_.query_block_end - args_.query_block_begin;
  return list_heads(index, &params->heads, [&](int32_t head) {
    return group == kAllGroups || plan_.group_of_head[head] == group;
  });
}

}  // namespace svdit::cuda
