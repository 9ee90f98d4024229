// The choice between one launch and a launch a group, on invented times.
#include "cuda/host/launch_choice.h"

#include <atomic>
#include <cmath>
#include <thread>

#include "test/sim/cases.h"

using namespace svdit;
using namespace svdit::test;

namespace {

const int kernel_a = 0, kernel_b = 0, kernel_c = 0;

// A device on which a launch takes launch_ms, and a tile tile_ms together and more_ms more apart.
cuda::LaunchTimes times(const cuda::LaunchLoad &load, double launch_ms, double tile_ms,
                        double more_ms) {
  return {launch_ms, launch_ms + load.tiles * tile_ms,
          load.groups * launch_ms + load.tiles * (tile_ms + more_ms)};
}

}  // namespace

int main() {
  Cases cases;
  cases.run("nothing measured: together", [] {
    check(!cuda::LaunchChoice({0, &kernel_a, 4, 1000}).apart(), "apart");
    check(!cuda::launch_fit(0, &kernel_a).measured, "measured");
  });
  cases.run("a plan follows its own measurement", [] {
    cuda::LaunchChoice choice({0, &kernel_a, 4, 1000});
    choice.measured({0.01, 5.0, 4.9});
    check(choice.apart(), "together");
    choice.measured({0.01, 5.0, 5.1});
    check(!choice.apart(), "apart");
  });
  cases.run("others follow the fit: tiles that are cheaper apart pay for launches", [] {
    const cuda::LaunchLoad large{0, &kernel_b, 3, 10000}, small{0, &kernel_b, 3, 50};
    const cuda::LaunchChoice before_large(large), before_small(small);
    check(!before_large.apart(), "before");
    // 10000 tiles save 1 ms apart, two more launches take 0.02 ms; 50 tiles save 0.005 ms.
    cuda::LaunchChoice measured({0, &kernel_b, 5, 20000});
    measured.measured(times({0, &kernel_b, 5, 20000}, 0.01, 0.001, -0.0001));
    const cuda::LaunchFit fit = cuda::launch_fit(0, &kernel_b);
    check(fit.measured && std::abs(fit.launch_ms - 0.01) < 1e-9 &&
              std::abs(fit.tile_ms + 0.0001) < 1e-9,
          "launch %g, tile %g", fit.launch_ms, fit.tile_ms);
    check(before_large.apart() && cuda::LaunchChoice(large).apart(), "large plans: together");
    check(!before_small.apart() && !cuda::LaunchChoice(small).apart(), "small plans: apart");
    check(!cuda::LaunchChoice({0, &kernel_b, 1, 10000}).apart(), "one group: apart");
  });
  cases.run("the fit goes between measurements that differ, and is a device's and kernel's own",
            [] {
              const cuda::LaunchLoad load{1, &kernel_c, 2, 1000};
              cuda::add_measurement(load, times(load, 0.02, 0.001, 0.0002));
              cuda::add_measurement(load, times(load, 0.01, 0.001, 0.0004));
              const cuda::LaunchFit fit = cuda::launch_fit(1, &kernel_c);
              check(std::abs(fit.launch_ms - 0.01) < 1e-9 && std::abs(fit.tile_ms - 0.0003) < 1e-9,
                    "launch %g, tile %g", fit.launch_ms, fit.tile_ms);
              check(!cuda::launch_fit(0, &kernel_c).measured, "another device");
              check(!cuda::LaunchChoice(load).apart(), "apart");
            });
  cases.run("a fit that is worked out meanwhile does not replace a measurement", [] {
    const cuda::LaunchLoad load{2, &kernel_a, 4, 1000};
    cuda::add_measurement(load, {0.01, 5.0, 1.0});  // by the fit: apart
    for (int round = 0; round < 3000; ++round) {
      cuda::LaunchChoice choice(load);
      std::atomic<bool> go{false};
      std::thread other([&] {
        while (!go) {
        }
        choice.apart();
      });
      go = true;
      choice.measured({0.01, 5.0, 5.1});  // of this plan: together
      other.join();
      check(!choice.apart(), "round %d: apart", round);
    }
  });
  return cases.finish();
}
