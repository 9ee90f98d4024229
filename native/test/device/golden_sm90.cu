// Runs every primitive of ptx_sm90.cuh on this machine's GPU and writes what came out: one line a
// section and thread; and, as comments, how many bits its sums have. Where the GPU is none of
// compute capability 9.0 it says so and writes nothing. An error ends everything, so it may be told
// what to run: section N alone, or all but N.
// usage: golden_sm90 FILE [N | -N]
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "test/sim/accumulation.cuh"
#include "test/sim/golden_sm90.cuh"
#include "test/sim/golden_sm90_source.h"

using namespace svdit::golden_sm90;

namespace {
bool failed(cudaError_t code, const char *what) {
  if (code != cudaSuccess) std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  return code != cudaSuccess;
}

// Prints what was found, as comments for the file.
bool tell_accumulation(std::string &comments) {
  namespace sums = svdit::accumulation;
  float *device = nullptr;
  std::vector<float> results(sums::kResults);
  if (failed(cudaMalloc(&device, sums::kResults * sizeof(float)), "cudaMalloc")) return false;
  sums::measure<<<1, sums::kThreads, sums::kSharedBytes>>>(device);
  if (failed(cudaGetLastError(), "launch") || failed(cudaDeviceSynchronize(), "measure") ||
      failed(cudaMemcpy(results.data(), device, sums::kResults * sizeof(float),
                        cudaMemcpyDeviceToHost),
             "cudaMemcpy")) {
    return false;
  }
  cudaFree(device);
  for (const sums::Type type : {sums::kE4m3, sums::kBf16}) {
    for (int sum = 0; sum < sums::kSums; ++sum) {
      const std::string line = sums::line_of(results.data(), type, static_cast<sums::Sum>(sum));
      std::printf("%s\n", line.c_str());
      comments += "# " + line + "\n";
    }
  }
  return true;
}

int record_to(const char *path, std::uint32_t sections) {
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
  // First, because an error of the kernel below ends everything.
  std::string comments;
  if (!tell_accumulation(comments)) return 1;
  std::fflush(stdout);
  record<<<1, kThreads, kSharedBytes>>>(make_maps(source, target), source, sections, device);
  if (failed(cudaGetLastError(), "launch") || failed(cudaDeviceSynchronize(), "record") ||
      failed(cudaMemcpy(results.data(), device, kResultWords * 4, cudaMemcpyDeviceToHost),
             "cudaMemcpy") ||
      failed(cudaMemcpy(stored.data(), target, kArrayBytes, cudaMemcpyDeviceToHost),
             "cudaMemcpy")) {
    return 1;
  }
  if (sections >> kStoreSection & 1) record_target(stored.data(), results.data());
  std::FILE *file = std::fopen(path, "w");
  if (file == nullptr) return 1;
  std::fprintf(file, "# recorded on %s, compute capability %d.%d\n", properties.name,
               properties.major, properties.minor);
  std::fputs(comments.c_str(), file);
  for (int i = 0; i < kResultWords; ++i) {
    std::fprintf(file, "%08x%c", results[i], (i + 1) % kWords == 0 ? '\n' : ' ');
  }
  std::fclose(file);
  std::printf("recorded %d sections on %s\n", __builtin_popcount(sections), properties.name);
  return 0;
}
}  // namespace

int main(int count, char **arguments) {
  const int number = count == 3 ? std::abs(std::atoi(arguments[2])) : -1;
  if (count < 2 || count > 3 || number >= kSectionCount) {
    std::fprintf(stderr, "usage: golden_sm90 FILE [N | -N]\n");
    return 2;
  }
  std::uint32_t sections = kAllSections;
  if (count == 3) sections = arguments[2][0] == '-' ? sections & ~(1u << number) : 1u << number;
  try {
    return record_to(arguments[1], sections);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
