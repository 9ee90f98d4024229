// Which instructions the CPU backend uses: the tiers there are, and the choice of one.
#ifndef SVDIT_CPU_TIERS_H
#define SVDIT_CPU_TIERS_H

#include <cstdint>
#include <vector>

#include "cpu/attention/tier.h"
#include "cpu/ops/ops_rows.h"

namespace svdit {

// A row of tiers.def.
struct Tier {
  uint32_t code;  // SVDIT_CPU_TIER_*
  const char *name;
  const TierKernels *attention;
  const cpu::RowKernels *rows;
  bool (*present)();
};

// Those this build has, from the lowest up.
const std::vector<Tier> &tiers();

// Whether this build has the tier and the processor (and the operating system) can run it.
bool has_tier(uint32_t code);

// The tier to use for what svdit_backend_options.cpu_tier asks; AUTO is what SVDIT_CPU_TIER names,
// or the highest there is. Throws Error UNAVAILABLE for one the processor lacks, INVALID_ARGUMENT
// for an unknown name or code.
const Tier &choose_tier(uint32_t asked);

}  // namespace svdit

#endif
