// What the simulator throws when a kernel does what the hardware leaves undefined.
#ifndef SVDIT_SIM_FAULT_H
#define SVDIT_SIM_FAULT_H

#include <stdexcept>
#include <string>

namespace svdit::sim {

class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// printf into a Fault.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace svdit::sim

#endif
