#include "cpu/tiers.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "base/error.h"
#include "cpu/processor.h"

namespace svdit {

#define SVDIT_TIER(code, name, attention, rows, present) \
  extern const TierKernels attention;                    \
  namespace cpu {                                        \
  extern const RowKernels rows;                          \
  }
#include "cpu/tiers.def"
#undef SVDIT_TIER

namespace {

const Tier *find(uint32_t code) {
  for (const Tier &tier : tiers()) {
    if (tier.code == code) return &tier;
  }
  return nullptr;
}

// "portable, avx2 or avx512".
std::string names() {
  std::string list;
  for (size_t i = 0; i < tiers().size(); ++i) {
    list += i == 0 ? "" : i + 1 < tiers().size() ? ", " : " or ";
    list += tiers()[i].name;
  }
  return list;
}

const Tier *named_by_environment() {
  const char *name = std::getenv("SVDIT_CPU_TIER");
  if (name == nullptr || *name == 0 || std::strcmp(name, "auto") == 0) return nullptr;
  for (const Tier &tier : tiers()) {
    if (std::strcmp(name, tier.name) == 0) return &tier;
  }
  fail(SVDIT_INVALID_ARGUMENT, "SVDIT_CPU_TIER is '%s', expected %s", name, names().c_str());
}

}  // namespace

// __builtin_cpu_supports takes a literal.
#define SVDIT_HAS(feature) (__builtin_cpu_supports(feature) != 0)
#define SVDIT_TIER(code, name, attention, rows, present) \
  {SVDIT_CPU_TIER_##code, name, &attention, &cpu::rows, [] { return present; }},

const std::vector<Tier> &tiers() {
  static const std::vector<Tier> all = {
#include "cpu/tiers.def"
  };
  return all;
}

#undef SVDIT_TIER
#undef SVDIT_HAS

bool has_tier(uint32_t code) {
  const Tier *tier = find(code);
  return tier != nullptr && tier->present();
}

const Tier &choose_tier(uint32_t asked) {
  const char *source = "cpu_tier";
  const Tier *tier = nullptr;
  if (asked == SVDIT_CPU_TIER_AUTO) {
    tier = named_by_environment();
    if (tier == nullptr) {
      for (const Tier &each : tiers()) {
        if (each.present()) tier = &each;
      }
    } else {
      source = "SVDIT_CPU_TIER";
    }
  } else {
    tier = find(asked);
    if (tier == nullptr) {
      fail(SVDIT_INVALID_ARGUMENT, "cpu_tier is %u; this build has %s", asked, names().c_str());
    }
  }
  if (!tier->present()) {
    fail(SVDIT_UNAVAILABLE, "%s asks for %s, which this processor (%s) does not have", source,
         tier->name, processor_name().c_str());
  }
  return *tier;
}

}  // namespace svdit
