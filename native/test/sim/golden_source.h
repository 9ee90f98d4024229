// The bytes that the golden vectors' copies read.
#ifndef SVDIT_TEST_SIM_GOLDEN_SOURCE_H
#define SVDIT_TEST_SIM_GOLDEN_SOURCE_H

#include <vector>

namespace svdit::golden {

inline std::vector<unsigned char> source_bytes() {
  std::vector<unsigned char> bytes(512);
  for (int i = 0; i < 512; ++i) bytes[i] = static_cast<unsigned char>(i * 37 + 11);
  return bytes;
}

}  // namespace svdit::golden

#endif
