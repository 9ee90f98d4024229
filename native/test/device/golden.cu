// Runs every primitive of ptx.cuh on this machine's GPU and writes what came out: one line a
// section and lane. usage: golden FILE
#include <cstdio>
#include <vector>

#include "test/sim/golden.cuh"
#include "test/sim/golden_source.h"

using namespace svdit::golden;

namespace {
bool failed(cudaError_t code, const char *what) {
  if (code != cudaSuccess) std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  return code != cudaSuccess;
}
}  // namespace

int main(int count, char **arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: golden FILE\n");
    return 2;
  }
  const std::vector<unsigned char> bytes = source_bytes();
  unsigned char *source = nullptr;
  std::uint32_t *counter = nullptr, *device = nullptr;
  std::vector<std::uint32_t> results(kResultWords);
  if (failed(cudaMalloc(&source, kSourceBytes), "cudaMalloc") ||
      failed(cudaMalloc(&counter, 4), "cudaMalloc") ||
      failed(cudaMalloc(&device, kResultWords * 4), "cudaMalloc") ||
      failed(cudaMemcpy(source, bytes.data(), kSourceBytes, cudaMemcpyHostToDevice),
             "cudaMemcpy") ||
      failed(cudaMemset(counter, 0, 4), "cudaMemset") ||
      failed(cudaMemset(device, 0xff, kResultWords * 4), "cudaMemset")) {
    return 1;
  }
  record<<<1, kThreads, kSharedBytes>>>(source, counter, device);
  if (failed(cudaGetLastError(), "launch") || failed(cudaDeviceSynchronize(), "record") ||
      failed(cudaMemcpy(results.data(), device, kResultWords * 4, cudaMemcpyDeviceToHost),
             "cudaMemcpy")) {
    return 1;
  }
  cudaDeviceProp properties;
  if (failed(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties")) return 1;
  std::FILE *file = std::fopen(arguments[1], "w");
  if (file == nullptr) return 1;
  std::fprintf(file, "# recorded on %s, compute capability %d.%d\n", properties.name,
               properties.major, properties.minor);
  for (int section = 0; section < kSectionCount; ++section) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int word = 0; word < kWords; ++word) {
        std::fprintf(file, "%08x%c", results[(section * 32 + lane) * kWords + word],
                     word + 1 < kWords ? ' ' : '\n');
      }
    }
  }
  std::fclose(file);
  std::printf("recorded %d sections on %s\n", kSectionCount, properties.name);
  return 0;
}
