// What this machine offers: its processor, and how many threads this process may keep busy.
#ifndef SVDIT_CPU_PROCESSOR_H
#define SVDIT_CPU_PROCESSOR_H

#include <cstdint>
#include <string>

namespace svdit {

// The processor's name for people.
std::string processor_name();

// Threads that the affinity mask and the cgroup's CPU quota (v1 and v2, of this process and all
// groups above) allow; at least 1. root is put before every path read, for tests.
int32_t allowed_threads(const std::string &root = "");

// The quota part alone, rounded up to whole processors; 0 where there is no limit.
int32_t cgroup_threads(const std::string &root);

}  // namespace svdit

#endif
