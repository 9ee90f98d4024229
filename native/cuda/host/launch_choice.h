// Whether a plan of several groups runs as one launch over all heads, or as a launch a group: by
// what both were measured to take.
#ifndef SVDIT_CUDA_LAUNCH_CHOICE_H
#define SVDIT_CUDA_LAUNCH_CHOICE_H

#include <atomic>
#include <cstdint>
#include <mutex>

namespace svdit::cuda {

// What of a plan decides: which kernel it runs and how much.
struct LaunchLoad {
  int device;
  const void *kernel;
  int32_t groups;
  double tiles;  // visible (query, key) pairs of all heads, in squares of a block
};

struct LaunchTimes {
  double launch_ms;    // a launch that does next to nothing: its cost, and the wait for its end
  double together_ms;  // the call as one launch
  double apart_ms;     // the call as a launch a group
};

// What a launch costs beside its tiles, and what a tile costs more in a launch of its group than in
// one launch of all; fitted to the measurements of a device and kernel.
struct LaunchFit {
  double launch_ms = 0, tile_ms = 0;
  bool measured = false;

  double apart_minus_together_ms(const LaunchLoad &load) const {
    return (load.groups - 1) * launch_ms + load.tiles * tile_ms;
  }
};

// Process-wide, thread-safe.
void add_measurement(const LaunchLoad &load, const LaunchTimes &times);
LaunchFit launch_fit(int device, const void *kernel);

// A plan's own choice. Thread-safe; asking costs an atomic read unless something was measured
// since.
class LaunchChoice {
 public:
  explicit LaunchChoice(const LaunchLoad &load) : load_(load) {}

  // Whether to launch a group at a time: as measured for this plan, else as the fit says, else not.
  bool apart() const;

  // Takes note of what was measured with this plan.
  void measured(const LaunchTimes &times);

 private:
  const LaunchLoad load_;
  mutable std::mutex mutex_;  // held by who changes the others
  mutable std::atomic<uint64_t> seen_{0};  // measurements known when apart_ was worked out
  mutable std::atomic<bool> apart_{false};
  std::atomic<bool> own_{false};
};

}  // namespace svdit::cuda

#endif
