#include "sim/cudart/settings.h"

#include <sstream>
#include <stdexcept>

namespace svdit::sim {

void Settings::parse(const std::string &text) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (equals == std::string::npos) throw std::invalid_argument("SVDIT_SIM: no value: " + word);
    std::size_t digits = 0;
    const long long value = std::stoll(word.substr(equals + 1), &digits);
    if (equals + 1 + digits != word.size()) {
      throw std::invalid_argument("SVDIT_SIM: no number: " + word);
    }
    if (name == "driver") {
      driver = static_cast<int>(value);
    } else if (name == "devices") {
      devices = static_cast<int>(value);
    } else if (name == "capability") {
      capability = static_cast<int>(value);
    } else if (name == "kernels") {
      kernels = value != 0;
    } else if (name == "memory") {
      memory = static_cast<std::size_t>(value);
    } else if (name == "fault") {
      fault = static_cast<long>(value);
    } else if (name == "late_us") {
      late_us = static_cast<long>(value);
    } else if (name == "idle") {
      idle = value != 0;
    } else if (name == "seed") {
      seed = static_cast<std::uint64_t>(value);
    } else {
      throw std::invalid_argument("SVDIT_SIM: unknown: " + word);
    }
  }
}

}  // namespace svdit::sim
