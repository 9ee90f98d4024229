// Kernels with a bug planted in them, and the same without it: what the simulator must say of each.
#ifndef SVDIT_TEST_SIM_PLANTED_H
#define SVDIT_TEST_SIM_PLANTED_H

#include <cstring>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>

#include "cases.h"
#include "sim/machine.h"

namespace svdit::test {

inline sim::Launch launch_of(int threads, std::uint32_t shared_bytes, std::uint64_t seed = 1) {
  return {
      .blocks = 3, .threads = threads, .shared_bytes = shared_bytes, .seed = seed, .resident = 2};
}

inline void accepted(const sim::Launch &launch, const std::function<void()> &kernel) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::Launch own = launch;
    own.seed = seed;
    sim::launch(own, kernel);
  }
}

// The kernel faults whatever the schedule, and the message names the place and the cause (one of
// them, where the schedule decides how the bug shows).
inline void rejected(const sim::Launch &launch, std::initializer_list<const char *> causes,
                     const std::function<void()> &kernel) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::Launch own = launch;
    own.seed = seed;
    try {
      sim::launch(own, kernel);
    } catch (const sim::Fault &fault) {
      bool named = false;
      for (const char *cause : causes) named |= std::strstr(fault.what(), cause) != nullptr;
      check(named, "expected \"%s\", the fault is \"%s\"", *causes.begin(), fault.what());
      check(std::strstr(fault.what(), "block ") != nullptr &&
                std::strstr(fault.what(), "warp ") != nullptr,
            "no place in \"%s\"", fault.what());
      continue;
    }
    throw std::runtime_error(std::string("not found with seed ") + std::to_string(seed));
  }
}

}  // namespace svdit::test

#endif
