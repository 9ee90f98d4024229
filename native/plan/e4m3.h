// How 64 tokens of BF16 become e4m3 with a scale (svdit_attention, SVDIT_E4M3): the rule both
// backends follow. A scale is a power of two: it costs an 8-bit floating-point number no precision,
// and multiplying with it is exact, so that every device rounds alike.
#ifndef SVDIT_PLAN_E4M3_H
#define SVDIT_PLAN_E4M3_H

#include <bit>
#include <cstdint>

#include "plan/cursor.h"

namespace svdit {

inline constexpr int32_t kScaleTokens = 64;     // that share a scale
inline constexpr int32_t kLeastExponent = -60;  // of a scale
inline constexpr uint32_t kInfinityBits = 0x7f800000;

// The scale 2^exponent, for exponents -126 .. 127.
SVDIT_HD constexpr float power_of_two(int32_t exponent) {
  return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
}

// The exponent of the scale for elements of at most `largest`, which is not negative: the least one
// with largest / 2^exponent <= 448 = 1.75 2^8. Infinity and NaN give that of the largest number.
SVDIT_HD constexpr int32_t scale_exponent(float largest) {
  uint32_t bits = std::bit_cast<uint32_t>(largest);
  if (bits >= kInfinityBits) bits = kInfinityBits - 1;
  const auto floor_log2 = static_cast<int32_t>(bits >> 23) - 127;
  const int32_t exponent = floor_log2 - 8 + ((bits & 0x7fffff) > 0x600000 ? 1 : 0);
  return exponent > kLeastExponent ? exponent : kLeastExponent;
}

}  // namespace svdit

#endif
