#include "plan/plan.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "plan/pattern.h"

namespace svdit {
namespace {

void check_desc(const svdit_plan_desc &desc) {
  if (desc.struct_bytes != sizeof(svdit_plan_desc)) {
    fail(SVDIT_INVALID_ARGUMENT, "svdit_plan_desc.struct_bytes is %u, this library's is %zu",
         desc.struct_bytes, sizeof(svdit_plan_desc));
  }
  bool reserved = desc.reserved0 != 0;
  for (uint64_t r : desc.reserved) reserved |= r != 0;
  if (reserved) fail(SVDIT_INVALID_ARGUMENT, "svdit_plan_desc has a reserved field that is not 0");
  if (desc.element_type > SVDIT_E4M3) {
    fail(SVDIT_INVALID_ARGUMENT,
         "element_type is %u, expected 0 (BF16), 1 (FP16), 2 (FP32) or 3 (E4M3)",
         desc.element_type);
  }
  if (desc.block < 16 || desc.block > kLargestBlock || (desc.block & (desc.block - 1)) != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "block is %d tokens, expected 128, 64, 32 or 16", desc.block);
  }
  if (desc.heads < 1) fail(SVDIT_INVALID_ARGUMENT, "heads is %d, expected 1 or more", desc.heads);
  if (desc.head_dim < 1) {
    fail(SVDIT_INVALID_ARGUMENT, "head_dim is %d, expected 1 or more", desc.head_dim);
  }
  if (desc.key_tokens < 0 || desc.key_tokens > INT32_MAX - 256) {
    fail(SVDIT_INVALID_ARGUMENT, "key_tokens is %lld, expected 0 (self-attention) to %d",
         (long long)desc.key_tokens, INT32_MAX - 256);
  }
  if (desc.patterns == nullptr) {
    fail(SVDIT_INVALID_ARGUMENT, "patterns is NULL, expected one for each of %d heads", desc.heads);
  }
}

int32_t find_or_add_order(Plan &plan, const Order &order) {
  for (size_t i = 0; i < plan.orders.size(); ++i) {
    if (plan.orders[i].order == order) return (int32_t)i;
  }
  plan.orders.push_back({order, stored_tokens(plan.sequence, order)});
  return (int32_t)plan.orders.size() - 1;
}

HeadPattern add_pattern(Plan &plan, const svdit_pattern &p) {
  HeadPattern head{};
  head.mode = (Mode)p.mode;
  head.order = find_or_add_order(plan, order_of(p));
  head.window = std::min<int64_t>(p.window, plan.sequence.video());
  head.blocks_begin = (int64_t)plan.blocks.size();
  head.offsets_begin = (int64_t)plan.list_offsets.size();
  plan.blocks.insert(plan.blocks.end(), p.blocks, p.blocks + p.block_count);
  if (head.mode == Mode::kBlocks) {
    plan.list_offsets.insert(plan.list_offsets.end(), p.list_offsets,
                             p.list_offsets + p.list_count + 1);
  } else {
    head.block_count = p.block_count;
  }
  return head;
}

// Heads that share a mode and an order, numbered as they first appear.
void group_heads(Plan &plan) {
  std::vector<const HeadPattern *> first;
  for (const HeadPattern &head : plan.heads) {
    auto same = std::find_if(first.begin(), first.end(), [&](const HeadPattern *other) {
      return other->mode == head.mode && other->order == head.order;
    });
    plan.group_of_head.push_back((int32_t)(same - first.begin()));
    if (same == first.end()) first.push_back(&head);
  }
  plan.groups = (int32_t)first.size();
}

// Sorts the work and counts the pairs: the cost of a query block is how many keys it sees (all text
// valid).
void list_work(Plan &plan) {
  const int32_t heads = plan.head_count();
  const int32_t blocks = plan.layout.query_blocks;
  std::vector<int64_t> keys(blocks);
  std::vector<int64_t> head_cost(heads);
  std::vector<std::vector<int32_t>> sorted(heads);
  plan.video_pairs.assign(heads, 0);
  for (int32_t h = 0; h < heads; ++h) {
    for (int32_t i = 0; i < blocks; ++i) {
      keys[i] = 0;
      const Run rows = plan.layout.query_run(i);
      RunCursor cursor = plan.runs(h, i, 0);
      for (Run run; cursor.next(&run);) keys[i] += run.end - run.begin;
      if (i < plan.layout.query_video_blocks)
        plan.video_pairs[h] += keys[i] * (rows.end - rows.begin);
      head_cost[h] += keys[i];
    }
    sorted[h].resize(blocks);
    std::iota(sorted[h].begin(), sorted[h].end(), 0);
    std::stable_sort(sorted[h].begin(), sorted[h].end(),
                     [&](int32_t a, int32_t b) { return keys[a] > keys[b]; });
  }
  std::vector<int32_t> order(heads);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return head_cost[a] > head_cost[b]; });
  plan.work.reserve((size_t)heads * blocks);
  for (int32_t h : order) {
    for (int32_t i : sorted[h]) plan.work.push_back({h, i});
  }
}

}  // namespace

uint64_t Plan::bytes() const {
  const auto of = [](const auto &array) { return array.capacity() * sizeof(array[0]); };
  uint64_t sum = of(orders) + of(heads) + of(blocks) + of(list_offsets) + of(group_of_head) +
                 of(work) + of(video_pairs);
  for (const PlanOrder &order : orders) sum += of(order.stored);
  return sum;
}

double Plan::density(int32_t head, int32_t text_valid) const {
  const double keys = (double)layout.key_video + text_valid;
  if (heads[head].mode == Mode::kSkip || keys == 0) return 0;
  const double pairs = (double)video_pairs[head] + (double)layout.query_video * text_valid +
                       layout.query_text * keys;
  return pairs / (query_tokens() * keys);
}

Plan compile_plan(const svdit_plan_desc &desc) {
  check_desc(desc);
  Plan plan{};
  plan.sequence = check_sequence(desc.sequence);
  plan.cross_keys = (int32_t)desc.key_tokens;
  plan.element_type = desc.element_type;
  plan.head_dim = desc.head_dim;
  plan.layout = make_layout(plan.sequence, plan.cross_keys, desc.block);
  for (int32_t h = 0; h < desc.heads; ++h) {
    const svdit_pattern &pattern = desc.patterns[h];
    check_pattern(pattern, h, plan.layout.query_video_blocks);
    if (plan.cross_keys > 0 && pattern.mode > SVDIT_MODE_SKIP) {
      fail(SVDIT_INVALID_ARGUMENT,
           "patterns[%d].mode is %u, cross-attention (key_tokens %d) takes FULL (0) or SKIP (1)", h,
           pattern.mode, plan.cross_keys);
    }
    plan.heads.push_back(add_pattern(plan, pattern));
  }
  group_heads(plan);
  list_work(plan);
  return plan;
}

}  // namespace svdit
