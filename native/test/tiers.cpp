// The CPU backend's tiers, for tests.
#include <cstdlib>
#include <cstring>

#include "test/cases.h"

namespace svdit::test {

svdit_backend *open_cpu(uint32_t tier, int32_t threads) {
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.kind = SVDIT_BACKEND_CPU;
  options.cpu_tier = tier;
  options.threads = threads;
  svdit_backend *backend = nullptr;
  svdit_error error = new_error();
  if (svdit_backend_open(&options, &backend, &error) != SVDIT_OK) {
    report.fail("backend: %s", error.message);
    return nullptr;
  }
  return backend;
}

std::string why_absent(uint32_t tier) {
  const char *cap = std::getenv("SVDIT_CPU_TIER");
  for (uint32_t named : all_tiers()) {
    if (named == tier) break;
    if (cap != nullptr && std::strcmp(cap, tier_label(named)) == 0) {
      return "SVDIT_CPU_TIER is " + std::string(cap) + ", which is less";
    }
  }
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.cpu_tier = tier;
  svdit_backend_info info{};
  info.struct_bytes = sizeof info;
  svdit_error error = new_error();
  const svdit_status status = svdit_backend_probe(&options, &info, &error);
  return status == SVDIT_OK ? "" : error.message;
}

std::vector<uint32_t> present_tiers() {
  std::vector<uint32_t> tiers;
  for (uint32_t tier : all_tiers()) {
    if (why_absent(tier).empty()) tiers.push_back(tier);
  }
  return tiers;
}

std::string tested_tiers() {
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.cpu_tier = SVDIT_CPU_TIER_PORTABLE;
  svdit_backend_info info{};
  info.struct_bytes = sizeof info;
  svdit_backend_probe(&options, &info, nullptr);
  std::string lines = "Processor: " + std::string(info.name) + ", " + std::to_string(info.threads) +
                      " threads\nCPU tiers tested:";
  for (uint32_t tier : present_tiers()) lines += std::string(" ") + tier_label(tier);
  for (uint32_t tier : all_tiers()) {
    const std::string why = why_absent(tier);
    if (!why.empty()) {
      lines += "\nCPU tier absent, NOT tested: " + std::string(tier_label(tier)) + ": " + why;
    }
  }
  return lines + "\n";
}

const char *tier_label(uint32_t tier) {
  switch (tier) {
#define SVDIT_TIER(code, name, attention, rows, present) \
  case SVDIT_CPU_TIER_##code:                            \
    return name;
#include "cpu/tiers.def"
#undef SVDIT_TIER
    default:
      return "auto";
  }
}

const std::vector<uint32_t> &all_tiers() {
  static const std::vector<uint32_t> all = {
#define SVDIT_TIER(code, name, attention, rows, present) SVDIT_CPU_TIER_##code,
#include "cpu/tiers.def"
#undef SVDIT_TIER
  };
  return all;
}

}  // namespace svdit::test
