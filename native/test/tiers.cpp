// The CPU backend's tiers, for tests.
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

std::vector<uint32_t> present_tiers() {
  std::vector<uint32_t> tiers;
  for (uint32_t tier = SVDIT_CPU_TIER_PORTABLE; tier <= SVDIT_CPU_TIER_AVX512_BF16; ++tier) {
    svdit_backend_options options{};
    options.struct_bytes = sizeof options;
    options.cpu_tier = tier;
    svdit_backend_info info{};
    info.struct_bytes = sizeof info;
    if (svdit_backend_probe(&options, &info, nullptr) == SVDIT_OK) tiers.push_back(tier);
  }
  return tiers;
}

const char *tier_label(uint32_t tier) {
  const char *const names[] = {"auto", "portable", "avx2", "avx512", "avx512_bf16"};
  return names[tier];
}

}  // namespace svdit::test
