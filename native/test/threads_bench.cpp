// Times the thread pool alone: what a call costs over its items, for one caller and for many. Part
// of `make native-bench`, or target/native/test/threads_bench [threads].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "cpu/pool/threads.h"

using namespace svdit;

namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

void busy(double microseconds) {
  const auto begin = Clock::now();
  while (microseconds_since(begin) < microseconds) {
  }
}

// Median and 99th percentile over calls of what one takes, in microseconds.
struct Times {
  double median, p99;
};

Times times_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

Times time_calls(ThreadPool &pool, int64_t items, double microseconds, int calls) {
  std::vector<double> times;
  for (int i = 0; i < calls; ++i) {
    const auto begin = Clock::now();
    pool.for_each(items, [&](int64_t) { busy(microseconds); });
    times.push_back(microseconds_since(begin));
  }
  return times_of(std::move(times));
}

}  // namespace

int main(int argc, char **argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : (int)std::thread::hardware_concurrency());
  std::printf("%d threads, microseconds a call: median, 99th percentile\n", pool.threads());
  for (const int64_t items : {1, 4, 64}) {
    for (const double each : {0.0, 20.0}) {
      const Times t = time_calls(pool, items, each, each == 0 ? 20000 : 2000);
      std::printf("1 caller, %2lld items of %2.0f: %8.1f %8.1f\n", (long long)items, each, t.median,
                  t.p99);
    }
  }
  // Small calls beside 15 large ones that never end.
  std::atomic<bool> over{false};
  std::vector<std::thread> large;
  for (int i = 0; i < 15; ++i) {
    large.emplace_back([&] {
      while (!over) pool.for_each(1000, [](int64_t) { busy(100); });
    });
  }
  busy(50000);
  const Times t = time_calls(pool, 1, 20, 100);
  std::printf("beside 15 callers, 1 item of 20: %8.1f %8.1f\n", t.median, t.p99);
  over = true;
  for (auto &caller : large) caller.join();
  return 0;
}
