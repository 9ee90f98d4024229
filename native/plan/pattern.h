// Checks one head's svdit_pattern.
#ifndef SVDIT_PLAN_PATTERN_H
#define SVDIT_PLAN_PATTERN_H

#include "plan/order.h"
#include "svdit.h"

namespace svdit {

// Throws Error unless pattern is legal for a sequence cut into video_blocks blocks; head names it
// in messages.
void check_pattern(const svdit_pattern &pattern, int32_t head, int32_t video_blocks);

// The order of a pattern that check_pattern accepted.
inline Order order_of(const svdit_pattern &pattern) {
  return {pattern.order, pattern.tile_t, pattern.tile_h, pattern.tile_w};
}

}  // namespace svdit

#endif
