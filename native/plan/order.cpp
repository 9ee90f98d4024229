#include "plan/order.h"

#include <algorithm>

#include "base/error.h"

namespace svdit {

Order check_order(uint32_t kind, int32_t tile_t, int32_t tile_h, int32_t tile_w, const char *what) {
  if (kind > SVDIT_ORDER_TILE_MAJOR) {
    fail(SVDIT_INVALID_ARGUMENT, "%s: order is %u, expected 0 (frame-major) to 2 (tile-major)",
         what, kind);
  }
  const bool tiles = kind == SVDIT_ORDER_TILE_MAJOR;
  const bool good =
      tiles ? tile_t >= 1 && tile_h >= 1 && tile_w >= 1 : tile_t == 0 && tile_h == 0 && tile_w == 0;
  if (!good) {
    fail(SVDIT_INVALID_ARGUMENT, "%s: tiles are %d x %d x %d, expected %s", what, tile_t, tile_h,
         tile_w, tiles ? "each at least 1" : "0 x 0 x 0 outside tile-major order");
  }
  return {kind, tile_t, tile_h, tile_w};
}

namespace {

// Token-major is tiles of all frames by one place; frame-major is one tile of everything.
Order as_tiles(const Sequence &s, const Order &order) {
  switch (order.kind) {
    case SVDIT_ORDER_FRAME_MAJOR:
      return {SVDIT_ORDER_TILE_MAJOR, s.frames, s.height, s.width};
    case SVDIT_ORDER_TOKEN_MAJOR:
      return {SVDIT_ORDER_TILE_MAJOR, s.frames, 1, 1};
    default:
      return {SVDIT_ORDER_TILE_MAJOR, std::min(order.tile_t, s.frames),
              std::min(order.tile_h, s.height), std::min(order.tile_w, s.width)};
  }
}

}  // namespace

std::vector<int32_t> stored_tokens(const Sequence &s, const Order &order) {
  const Order tile = as_tiles(s, order);
  std::vector<int32_t> tokens;
  tokens.reserve(s.video());
  // 64-bit counters: a far edge plus a tile may pass the range of int32.
  for (int64_t t0 = 0; t0 < s.frames; t0 += tile.tile_t) {
    for (int64_t h0 = 0; h0 < s.height; h0 += tile.tile_h) {
      for (int64_t w0 = 0; w0 < s.width; w0 += tile.tile_w) {
        const int64_t t1 = std::min<int64_t>(t0 + tile.tile_t, s.frames);
        const int64_t h1 = std::min<int64_t>(h0 + tile.tile_h, s.height);
        const int64_t w1 = std::min<int64_t>(w0 + tile.tile_w, s.width);
        for (int64_t t = t0; t < t1; ++t) {
          for (int64_t h = h0; h < h1; ++h) {
            for (int64_t w = w0; w < w1; ++w) {
              tokens.push_back((int32_t)((t * s.height + h) * s.width + w));
            }
          }
        }
      }
    }
  }
  if (std::is_sorted(tokens.begin(), tokens.end())) tokens.clear();
  return tokens;
}

}  // namespace svdit
