#include "plan/pattern.h"

#include <cstdio>

#include "base/error.h"

namespace svdit {
namespace {

const char *const kModeNames[] = {"FULL",  "SKIP", "DIAGONAL", "MULTI_DIAGONAL", "VERTICAL_STRIPE",
                                  "BLOCKS"};

// blocks[begin .. end) must be strictly ascending video blocks.
void check_list(const svdit_pattern &p, int32_t head, int64_t begin, int64_t end,
                int32_t video_blocks) {
  for (int64_t i = begin; i < end; ++i) {
    if (p.blocks[i] < 0 || p.blocks[i] >= video_blocks) {
      fail(SVDIT_INVALID_ARGUMENT,
           "patterns[%d]: blocks[%lld] is %d, but the video has blocks 0 to %d", head, (long long)i,
           p.blocks[i], video_blocks - 1);
    }
    if (i > begin && p.blocks[i] <= p.blocks[i - 1]) {
      fail(SVDIT_INVALID_ARGUMENT,
           "patterns[%d]: blocks[%lld] is %d after %d, a list must be strictly ascending", head,
           (long long)i, p.blocks[i], p.blocks[i - 1]);
    }
  }
}

void check_lists(const svdit_pattern &p, int32_t head, int32_t video_blocks) {
  if (p.list_count != video_blocks || p.list_offsets == nullptr) {
    fail(SVDIT_INVALID_ARGUMENT,
         "patterns[%d]: list_count is %lld (list_offsets %s NULL), BLOCKS needs a list for each of "
         "the %d video query blocks",
         head, (long long)p.list_count, p.list_offsets == nullptr ? "is" : "is not", video_blocks);
  }
  if (p.list_offsets[0] != 0 || p.list_offsets[video_blocks] != p.block_count) {
    fail(SVDIT_INVALID_ARGUMENT,
         "patterns[%d]: list_offsets go from %lld to %lld, expected 0 to block_count %lld", head,
         (long long)p.list_offsets[0], (long long)p.list_offsets[video_blocks],
         (long long)p.block_count);
  }
  for (int32_t i = 0; i < video_blocks; ++i) {
    if (p.list_offsets[i] > p.list_offsets[i + 1] || p.list_offsets[i + 1] > p.block_count) {
      fail(SVDIT_INVALID_ARGUMENT,
           "patterns[%d]: list_offsets[%d] is %lld after %lld, they must not descend nor pass "
           "block_count %lld",
           head, i + 1, (long long)p.list_offsets[i + 1], (long long)p.list_offsets[i],
           (long long)p.block_count);
    }
    check_list(p, head, p.list_offsets[i], p.list_offsets[i + 1], video_blocks);
  }
}

}  // namespace

void check_pattern(const svdit_pattern &p, int32_t head, int32_t video_blocks) {
  if (p.struct_bytes != sizeof(svdit_pattern)) {
    fail(SVDIT_INVALID_ARGUMENT, "patterns[%d].struct_bytes is %u, this library's is %zu", head,
         p.struct_bytes, sizeof(svdit_pattern));
  }
  for (uint64_t reserved : p.reserved) {
    if (reserved != 0) {
      fail(SVDIT_INVALID_ARGUMENT, "patterns[%d].reserved is not zero", head);
    }
  }
  if (p.mode > SVDIT_MODE_BLOCKS) {
    fail(SVDIT_INVALID_ARGUMENT, "patterns[%d].mode is %u, expected 0 (FULL) to 5 (BLOCKS)", head,
         p.mode);
  }
  char what[32];
  std::snprintf(what, sizeof what, "patterns[%d]", head);
  check_order(p.order, p.tile_t, p.tile_h, p.tile_w, what);

  const char *name = kModeNames[p.mode];
  const bool diagonal = p.mode == SVDIT_MODE_DIAGONAL || p.mode == SVDIT_MODE_MULTI_DIAGONAL;
  if (diagonal) {
    const uint32_t order =
        p.mode == SVDIT_MODE_DIAGONAL ? SVDIT_ORDER_FRAME_MAJOR : SVDIT_ORDER_TOKEN_MAJOR;
    if (p.order != order) {
      fail(SVDIT_INVALID_ARGUMENT, "patterns[%d]: order is %u, %s has order %u", head, p.order,
           name, order);
    }
  }
  if (p.window < 0 || (!diagonal && p.window != 0)) {
    fail(SVDIT_INVALID_ARGUMENT, "patterns[%d]: window is %lld, expected %s for %s", head,
         (long long)p.window, diagonal ? "0 or more" : "0", name);
  }
  const bool listless = p.mode == SVDIT_MODE_FULL || p.mode == SVDIT_MODE_SKIP;
  if (p.block_count < 0 || (listless && p.block_count != 0)) {
    fail(SVDIT_INVALID_ARGUMENT, "patterns[%d]: block_count is %lld, expected %s for %s", head,
         (long long)p.block_count, listless ? "0" : "0 or more", name);
  }
  if (p.block_count > 0 && p.blocks == nullptr) {
    fail(SVDIT_INVALID_ARGUMENT, "patterns[%d]: blocks is NULL with block_count %lld", head,
         (long long)p.block_count);
  }
  if (p.mode == SVDIT_MODE_BLOCKS) {
    check_lists(p, head, video_blocks);
    return;
  }
  if (p.list_count != 0 || p.list_offsets != nullptr) {
    fail(SVDIT_INVALID_ARGUMENT,
         "patterns[%d]: list_count is %lld and list_offsets %s, expected 0 and NULL for %s", head,
         (long long)p.list_count, p.list_offsets == nullptr ? "NULL" : "not NULL", name);
  }
  check_list(p, head, 0, p.block_count, video_blocks);
}

}  // namespace svdit
