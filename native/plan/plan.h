// One layer's patterns compiled for one sequence: what both backends follow. Immutable once made.
#ifndef SVDIT_PLAN_PLAN_H
#define SVDIT_PLAN_PLAN_H

#include <cstdint>
#include <vector>

#include "plan/cursor.h"
#include "plan/order.h"
#include "plan/sequence.h"
#include "svdit.h"

namespace svdit {

// Tokens of the largest block; kernels have room for so many queries.
inline constexpr int32_t kLargestBlock = 128;

// An order a head uses, with where each of its places is stored.
struct PlanOrder {
  Order order;
  std::vector<int32_t> stored;  // of the video segment; empty for the identity
};

// One query block of one head.
struct WorkItem {
  int32_t head, query_block;
};

struct Plan {
  Sequence sequence;
  int32_t cross_keys;  // 0: self-attention
  uint32_t element_type;
  int32_t head_dim;
  Layout layout;

  std::vector<PlanOrder> orders;
  std::vector<HeadPattern> heads;
  std::vector<int32_t> blocks;        // of all heads; see HeadPattern
  std::vector<int64_t> list_offsets;  // of all heads

  std::vector<int32_t> group_of_head;
  int32_t groups;
  std::vector<WorkItem> work;  // longest head first, a head's query blocks together, longest first
  std::vector<int64_t> video_pairs;  // per head: visible (video query, video key) pairs

  int32_t head_count() const { return (int32_t)heads.size(); }
  int32_t query_tokens() const { return sequence.tokens(); }
  // Of q, k, v and out.
  uint32_t tensor_type() const {
    return element_type == SVDIT_E4M3 ? uint32_t{SVDIT_BF16} : element_type;
  }
  int32_t key_tokens() const { return layout.key_video + layout.key_text; }
  PatternArrays arrays() const { return {blocks.data(), list_offsets.data()}; }

  // The runs query_block of head sees, with text_valid valid text keys.
  RunCursor runs(int32_t head, int32_t query_block, int32_t text_valid) const {
    return {layout, heads[head], arrays(), query_block, text_valid};
  }

  // Visible (query, key) pairs / (query tokens x valid keys); 0 where no key is valid.
  double density(int32_t head, int32_t text_valid) const;

  // Memory of its arrays.
  uint64_t bytes() const;
};

// Checks desc and compiles it. Throws Error with INVALID_ARGUMENT; which head dims and block sizes
// are SUPPORTED is the backend's to say.
Plan compile_plan(const svdit_plan_desc &desc);

}  // namespace svdit

#endif
