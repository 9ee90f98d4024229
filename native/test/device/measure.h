// What the timing programs share: what must succeed, and times by CUDA events.
#ifndef SVDIT_GPU_MEASURE_H
#define SVDIT_GPU_MEASURE_H

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "svdit.h"
#include "test/harness.h"

namespace svdit::gpu {

// Each ends the program where it fails.
inline void must(cudaError_t code, const char *what) {
  if (code == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  std::exit(1);
}
template <class Call>
void must(Call &&call) {
  svdit_error error = test::new_error();
  if (call(&error) == SVDIT_OK) return;
  std::fprintf(stderr, "%s\n", error.message);
  std::exit(1);
}

struct Times {
  double median, least, most;  // milliseconds
};

// Times each of the works, one after the other in every round, so that what disturbs hits all:
// seven rounds, or fewer, three at least, where they take seconds.
inline std::vector<Times> time_ms(cudaStream_t stream,
                                  const std::vector<std::function<void()>> &works) {
  constexpr int kWarmUp = 2, kRounds = 7, kLeastRounds = 3;
  constexpr double kLongMs = 400, kEnoughMs = 2500;  // all works together
  cudaEvent_t begin, end;
  must(cudaEventCreate(&begin), "event");
  must(cudaEventCreate(&end), "event");
  std::vector<std::vector<float>> times(works.size());
  double all = 0;
  for (int round = -kWarmUp; round < kRounds; ++round) {
    if (round == 1 - kWarmUp && all > kLongMs) continue;
    if (round == 0) all = 0;
    if (round >= kLeastRounds && all > kEnoughMs) break;
    for (size_t i = 0; i < works.size(); ++i) {
      must(cudaEventRecord(begin, stream), "record");
      works[i]();
      must(cudaEventRecord(end, stream), "record");
      must(cudaEventSynchronize(end), "the work that is timed");
      float ms = 0;
      must(cudaEventElapsedTime(&ms, begin, end), "elapsed");
      if (round >= 0) times[i].push_back(ms);
      all += ms;
    }
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::vector<Times> result;
  for (std::vector<float> &t : times) {
    std::sort(t.begin(), t.end());
    result.push_back({t[t.size() / 2], t.front(), t.back()});
  }
  return result;
}

}  // namespace svdit::gpu

#endif
