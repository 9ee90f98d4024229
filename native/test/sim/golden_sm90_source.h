// The arrays of the sm_90a golden vectors, on the host.
#ifndef SVDIT_TEST_SIM_GOLDEN_SM90_SOURCE_H
#define SVDIT_TEST_SIM_GOLDEN_SM90_SOURCE_H

#include <cstring>
#include <vector>

#include "test/sim/golden_sm90.cuh"

namespace svdit::golden_sm90 {

inline constexpr int kUntouched = 0xee;

inline std::vector<unsigned char> source_bytes() {
  std::vector<unsigned char> bytes(kArrayBytes);
  for (int i = 0; i < kArrayBytes; ++i)
    bytes[i] = static_cast<unsigned char>(i * 37 + i / 256 + 11);
  return bytes;
}

// The store's section: the whole target array, eight words a thread.
inline void record_target(const void *target, std::uint32_t *results) {
  static_assert(kArrayBytes == kRecorders * kWords * 4);
  std::memcpy(results + kStoreSection * kRecorders * kWords, target, kArrayBytes);
}

}  // namespace svdit::golden_sm90

#endif
