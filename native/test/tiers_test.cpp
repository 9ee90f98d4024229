// That no CPU tier goes untested in silence. `tiers_test --say` prints what is tested, and no more.
#include <cstdlib>
#include <cstring>

#include "test/cases.h"

using namespace svdit::test;

namespace {

bool says(const std::string &text) { return tested_tiers().find(text) != std::string::npos; }

void test_every_tier_is_told() {
  report.run("every tier is told as tested or as absent", [] {
    svdit_backend_info info{};
    info.struct_bytes = sizeof info;
    for (uint32_t tier : all_tiers()) {
      const std::string name = tier_label(tier), why = why_absent(tier);
      if (!why.empty()) {
        EXPECT(says("NOT tested: " + name + ": " + why), "%s", tested_tiers().c_str());
        continue;
      }
      EXPECT(says(" " + name) && !says("NOT tested: " + name + ":"), "%s", tested_tiers().c_str());
      svdit_backend *backend = open_cpu(tier, 1);
      expect_ok([&](svdit_error *e) { return svdit_backend_describe(backend, &info, e); });
      EXPECT(info.cpu_tier == tier, "opened %s as tier %u", name.c_str(), info.cpu_tier);
      EXPECT(says(info.name), "%s", tested_tiers().c_str());
      svdit_backend_close(backend);
    }
  });
}

void test_cap() {
  report.run("SVDIT_CPU_TIER takes away the tiers above it, and is named", [] {
    const char *set = std::getenv("SVDIT_CPU_TIER");
    const std::string before = set == nullptr ? "" : set;
    const std::vector<uint32_t> present = present_tiers();
    for (size_t i = 0; i < present.size(); ++i) {
      setenv("SVDIT_CPU_TIER", tier_label(present[i]), 1);
      EXPECT(present_tiers().size() == i + 1 && present_tiers().back() == present[i], "%s",
             tested_tiers().c_str());
      if (present[i] == all_tiers().back()) continue;
      EXPECT(says(tier_label(all_tiers().back()) + std::string(": SVDIT_CPU_TIER is ") +
                  tier_label(present[i])),
             "%s", tested_tiers().c_str());
    }
    if (before.empty()) {
      unsetenv("SVDIT_CPU_TIER");
    } else {
      setenv("SVDIT_CPU_TIER", before.c_str(), 1);
    }
  });
}

}  // namespace

int main(int count, char **arguments) {
  std::fputs(tested_tiers().c_str(), stdout);
  if (count > 1 && std::strcmp(arguments[1], "--say") == 0) return 0;
  test_every_tier_is_told();
  test_cap();
  return report.finish();
}
