// What the simulated device is, and which of its calls fail.
#ifndef SVDIT_SIM_CUDART_SETTINGS_H
#define SVDIT_SIM_CUDART_SETTINGS_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace svdit::sim {

// Written "name=value name=value", in the environment variable SVDIT_SIM (read once) and to
// svdit_sim_configure (at any time).
struct Settings {
  int driver = 13000;   // CUDA version the driver serves; 0: there is no driver
  int devices = 1;      // how many the driver sees
  int capability = 80;  // 10 * major + minor
  bool kernels = true;  // whether the library has machine code for the device
  std::size_t memory = std::size_t{1} << 30;  // bytes of each device
  long fault = 0;       // the fault-th launch from now on ends in an illegal address; 0: none
  long late_us = 2000;  // work that nobody waits for begins at a random moment up to this late
  bool idle = false;    // launches are queued and done, but run nothing: for timing the way there
  std::uint64_t seed = 1;

  // Throws std::invalid_argument for a name it does not know.
  void parse(const std::string &text);
};

}  // namespace svdit::sim

#endif
