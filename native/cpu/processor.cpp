#include "cpu/processor.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/error.h"

namespace svdit {
namespace {

// As std::getline, which alone would take memory that ran out for the file's end.
bool next_line(std::istream &file, std::string &line) {
  try {
    file.exceptions(std::ios::badbit);
    return static_cast<bool>(std::getline(file, line));
  } catch (const std::ios_base::failure &) {  // cannot be read
    return false;
  }
}

std::string first_line(const std::string &path) {
  std::ifstream file(path);
  std::string line;
  next_line(file, line);
  return line;
}

// Processors that a quota in microseconds per period allows; 0 where it sets no limit.
double processors(const std::string &quota, const std::string &period) {
  const double q = std::atof(quota.c_str()), p = std::atof(period.c_str());
  return q > 0 && p > 0 ? q / p : 0;
}

// The least limit of group and all groups above it, read by read(directory).
template <class Read>
double least_limit(const std::string &mount, std::string group, Read &&read) {
  double least = 0;
  for (;;) {
    const double limit = read(mount + group);
    if (limit > 0) least = least == 0 ? limit : std::min(least, limit);
    const size_t slash = group.find_last_of('/');
    if (slash == std::string::npos) return least;
    group.resize(slash);
  }
}

double read_v2(const std::string &directory) {
  std::istringstream line(first_line(directory + "/cpu.max"));  // "max 100000" or "50000 100000"
  std::string quota, period;
  line >> quota >> period;
  return processors(quota, period);
}

double read_v1(const std::string &directory) {
  return processors(first_line(directory + "/cpu.cfs_quota_us"),
                    first_line(directory + "/cpu.cfs_period_us"));
}

}  // namespace

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) {
      const size_t at = line.find_first_not_of(" \t", line.find(':') + 1);
      if (at != std::string::npos) return line.substr(at);
    }
  }
  return "unknown processor";
}

int32_t cgroup_threads(const std::string &root) {
  double least = 0;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; next_line(file, line);) {  // "0::/group" or "4:cpu,cpuacct:/group"
    const size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) continue;
    std::string controllers(1, ',');
    controllers.append(line, a + 1, b - a - 1).push_back(',');
    std::string group(line, b + 1);
    if (group == "/") group.clear();
    double limit = 0;
    if (controllers == ",,") {
      limit = least_limit(root + "/sys/fs/cgroup", group, read_v2);
    } else if (controllers.find(",cpu,") != std::string::npos) {
      for (const char *mount : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
        limit = std::max(limit, least_limit(root + mount, group, read_v1));
      }
    }
    if (limit > 0) least = least == 0 ? limit : std::min(least, limit);
  }
  return (int32_t)std::min(std::ceil(least), 1e6);
}

int32_t allowed_threads(const std::string &root) {
  // The mask of a machine with more processors than cpu_set_t holds needs a larger one.
  int32_t threads = 0;
  for (int size = 1024; threads == 0 && size <= 1 << 20; size *= 4) {
    std::vector<char> set(CPU_ALLOC_SIZE(size));
    auto *mask = reinterpret_cast<cpu_set_t *>(set.data());
    if (sched_getaffinity(0, set.size(), mask) == 0) threads = CPU_COUNT_S(set.size(), mask);
  }
  if (threads == 0) threads = (int32_t)std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  const int32_t quota = cgroup_threads(root);
  return quota > 0 ? std::min(threads, quota) : threads;
}

}  // namespace svdit
