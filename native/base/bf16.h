// bf16 numbers as their bits: the upper half of an fp32 number's.
#ifndef SVDIT_BF16_H
#define SVDIT_BF16_H

#include <bit>
#include <cstdint>

namespace svdit {

// Always in line: files compiled for different processors must not share a copy of it.
#define SVDIT_IN_LINE [[gnu::always_inline]] constexpr

SVDIT_IN_LINE float from_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// To nearest, ties to even. A NaN stays one: it is made quiet, so that cutting its payload cannot
// make an infinity of it.
SVDIT_IN_LINE uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  return static_cast<uint16_t>((x == x ? rounded : bits | 0x400000) >> 16);
}

#undef SVDIT_IN_LINE

}  // namespace svdit
#endif
