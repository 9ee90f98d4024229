// Orders: how the video tokens are lined up before they are cut into blocks.
#ifndef SVDIT_PLAN_ORDER_H
#define SVDIT_PLAN_ORDER_H

#include <cstdint>
#include <vector>

#include "plan/sequence.h"

namespace svdit {

struct Order {
  uint32_t kind;  // SVDIT_ORDER_*
  int32_t tile_t, tile_h, tile_w;

  bool operator==(const Order &other) const = default;
};

// Throws Error for an unknown kind, a tile size below 1, or tile sizes where there are no tiles.
// what names the argument in messages ("patterns[3]").
Order check_order(uint32_t kind, int32_t tile_t, int32_t tile_h, int32_t tile_w, const char *what);

// The stored (frame-major) index of each place in the order, within the video segment. Empty for
// the identity.
std::vector<int32_t> stored_tokens(const Sequence &sequence, const Order &order);

}  // namespace svdit

#endif
