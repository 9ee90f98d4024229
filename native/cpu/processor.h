// What this machine offers: instructions, and how many threads this process may keep busy.
#ifndef SVDIT_CPU_PROCESSOR_H
#define SVDIT_CPU_PROCESSOR_H

#include <cstdint>
#include <string>

namespace svdit {

// Whether the processor (and the operating system) can run an SVDIT_CPU_TIER_* other than AUTO.
bool has_tier(uint32_t tier);

// "portable", "avx2", "avx512", "avx512_bf16".
const char *tier_name(uint32_t tier);

// The tier to use for what svdit_backend_options.cpu_tier asks; AUTO is what SVDIT_CPU_TIER names,
// or the highest there is. Throws Error UNAVAILABLE for one the processor lacks, INVALID_ARGUMENT
// for an unknown name.
uint32_t choose_tier(uint32_t asked);

// The processor's name for people.
std::string processor_name();

// Threads that the affinity mask and the cgroup's CPU quota (v1 and v2, of this process and all
// groups above) allow; at least 1. root is put before every path read, for tests.
int32_t allowed_threads(const std::string &root = "");

// The quota part alone, rounded up to whole processors; 0 where there is no limit.
int32_t cgroup_threads(const std::string &root);

}  // namespace svdit

#endif
