// Runs every primitive of ptx_sm90.cuh on this machine's GPU and writes what came out: one line a
// section and thread. Where the GPU is none of compute capability 9.0 it says so and writes
// nothing. usage: golden_sm90 FILE
#include <cstdio>
#include <exception>
#include <vector>

#include "test/sim/golden_sm90.cuh"
#include "test/sim/golden_sm90_source.h"

using namespace svdit::golden_sm90;

namespace {
bool failed(cudaError_t code, const char *what) {
  if (code != cudaSuccess) std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  return code != cudaSuccess;
}

int record_to(const char *path) {
  cudaDeviceProp properties;
  if (failed(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties")) return 1;
  if (properties.major != 9 || properties.minor != 0) {
    std::printf("%s has compute capability %d.%d: the sm_90a primitives were not recorded\n",
                properties.name, properties.major, properties.minor);
    return 0;
  }
  unsigned char *source = nullptr, *target = nullptr;
  std::uint32_t *device = nullptr;
  std::vector<std::uint32_t> results(kResultWords);
  std::vector<unsigned char> stored(kArrayBytes);
  if (failed(cudaMalloc(&source, kArrayBytes), "cudaMalloc") ||
      failed(cudaMalloc(&target, kArrayBytes), "cudaMalloc") ||
      failed(cudaMalloc(&device, kResultWords * 4), "cudaMalloc") ||
      failed(cudaMemcpy(source, source_bytes().data(), kArrayBytes, cudaMemcpyHostToDevice),
             "cudaMemcpy") ||
      failed(cudaMemset(target, kUntouched, kArrayBytes), "cudaMemset") ||
      failed(cudaMemset(device, 0xff, kResultWords * 4), "cudaMemset")) {
    return 1;
  }
  record<<<1, kThreads, kSharedBytes>>>(make_maps(source, target), source, device);
  if (failed(cudaGetLastError(), "launch") || failed(cudaDeviceSynchronize(), "record") ||
      failed(cudaMemcpy(results.data(), device, kResultWords * 4, cudaMemcpyDeviceToHost),
             "cudaMemcpy") ||
      failed(cudaMemcpy(stored.data(), target, kArrayBytes, cudaMemcpyDeviceToHost),
             "cudaMemcpy")) {
    return 1;
  }
  record_target(stored.data(), results.data());
  std::FILE *file = std::fopen(path, "w");
  if (file == nullptr) return 1;
  std::fprintf(file, "# recorded on %s, compute capability %d.%d\n", properties.name,
               properties.major, properties.minor);
  for (int i = 0; i < kResultWords; ++i) {
    std::fprintf(file, "%08x%c", results[i], (i + 1) % kWords == 0 ? '\n' : ' ');
  }
  std::fclose(file);
  std::printf("recorded %d sections on %s\n", kSectionCount, properties.name);
  return 0;
}
}  // namespace

int main(int count, char **arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: golden_sm90 FILE\n");
    return 2;
  }
  try {
    return record_to(arguments[1]);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
