// Formats and layouts as the PTX ISA's text and figures give them, for tests to compare with.
#ifndef SVDIT_TEST_SIM_LAYOUTS_H
#define SVDIT_TEST_SIM_LAYOUTS_H

#include <cmath>
#include <cstdint>

namespace svdit::test {

// The format's definition: 1 sign bit, 4 of the exponent (bias 7), 3 of the mantissa; no infinity.
inline float e4m3(std::uint32_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return NAN;
  const double size =
      exponent == 0 ? mantissa / 8.0 / 64 : (1 + mantissa / 8.0) * std::pow(2.0, exponent - 7);
  return static_cast<float>(bits & 0x80 ? -size : size);
}

// Where byte `byte` of row `row` lies under a 128-byte swizzle: the figure of the ISA, as a table
// of 16-byte chunks of eight rows.
inline std::uint32_t swizzled(int row, int byte) {
  static constexpr int kChunk[8][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {1, 0, 3, 2, 5, 4, 7, 6},
                                       {2, 3, 0, 1, 6, 7, 4, 5}, {3, 2, 1, 0, 7, 6, 5, 4},
                                       {4, 5, 6, 7, 0, 1, 2, 3}, {5, 4, 7, 6, 1, 0, 3, 2},
                                       {6, 7, 4, 5, 2, 3, 0, 1}, {7, 6, 5, 4, 3, 2, 1, 0}};
  return row * 128 + kChunk[row % 8][byte / 16] * 16 + byte % 16;
}

// The same of rows of 64 bytes under a 64-byte swizzle: four chunks, of eight rows.
inline std::uint32_t swizzled_64(int row, int byte) {
  static constexpr int kChunk[8][4] = {{0, 1, 2, 3}, {0, 1, 2, 3}, {1, 0, 3, 2}, {1, 0, 3, 2},
                                       {2, 3, 0, 1}, {2, 3, 0, 1}, {3, 2, 1, 0}, {3, 2, 1, 0}};
  return row * 64 + kChunk[row % 8][byte / 16] * 16 + byte % 16;
}

}  // namespace svdit::test

#endif
