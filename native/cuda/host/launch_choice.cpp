#include "cuda/host/launch_choice.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace svdit::cuda {
namespace {

// One parameter each: the launch by its least time, the tile by least squares through the origin.
struct Sums {
  double launch_ms, extra_times_tiles, tiles_squared;
};

std::mutex mutex;
std::map<std::pair<int, const void *>, Sums> measurements;
std::atomic<uint64_t> count{0};

}  // namespace

void add_measurement(const LaunchLoad &load, const LaunchTimes &times) {
  const double extra = times.apart_ms - times.together_ms - (load.groups - 1) * times.launch_ms;
  const std::lock_guard lock(mutex);
  const auto [at, first] =
      measurements.try_emplace({load.device, load.kernel}, Sums{times.launch_ms, 0, 0});
  Sums &sums = at->second;
  sums.launch_ms = std::min(sums.launch_ms, times.launch_ms);
  sums.extra_times_tiles += extra * load.tiles;
  sums.tiles_squared += load.tiles * load.tiles;
  ++count;
}

LaunchFit launch_fit(int device, const void *kernel) {
  const std::lock_guard lock(mutex);
  const auto found = measurements.find({device, kernel});
  if (found == measurements.end()) return {};
  const Sums &sums = found->second;
  return {sums.launch_ms, sums.tiles_squared > 0 ? sums.extra_times_tiles / sums.tiles_squared : 0,
          true};
}

bool LaunchChoice::apart() const {
  const uint64_t now = count;
  if (seen_ != now) {
    const LaunchFit fit = launch_fit(load_.device, load_.kernel);
    const std::lock_guard lock(mutex_);
    // What was measured for this plan stays, also if that was while the fit was asked.
    if (!own_) apart_ = load_.groups > 1 && fit.measured && fit.apart_minus_together_ms(load_) < 0;
    seen_ = now;
  }
  return apart_;
}

void LaunchChoice::measured(const LaunchTimes &times) {
  {
    const std::lock_guard lock(mutex_);
    own_ = true;
    apart_ = times.apart_ms < times.together_ms;
  }
  add_measurement(load_, times);
}

}  // namespace svdit::cuda
