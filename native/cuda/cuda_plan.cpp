#include "cuda/cuda_plan.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "cuda/device.h"
#include "cuda/key_maps.h"
#include "error.h"

namespace svdit::cuda {
namespace {

constexpr int kPermuteBlocksPerProcessor = 8;

// Arrays packed one after the other, to be uploaded in one piece.
class Packed {
 public:
  template <class T>
  size_t add(const std::vector<T> &array) {
    const size_t at = (bytes_.size() + 255) / 256 * 256;
    bytes_.resize(at + array.size() * sizeof(T));
    if (!array.empty()) std::memcpy(bytes_.data() + at, array.data(), array.size() * sizeof(T));
    return at;
  }
  const std::vector<char> &bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
};

// The newest kernels that the device runs, or those that SVDIT_CUDA_KERNELS names. What sm_90a has
// and they use is of compute capability 9.0 alone.
AttentionKernel attention_kernel(const Plan &plan, int32_t capability) {
  const char *named = std::getenv("SVDIT_CUDA_KERNELS");
  const std::string_view wanted = named != nullptr ? named : capability == 90 ? "sm90" : "sm80";
  if (wanted != "sm80" && wanted != "sm90") {
    fail(SVDIT_INVALID_ARGUMENT, "SVDIT_CUDA_KERNELS is %s, not sm80 or sm90", named);
  }
  if (wanted == "sm90" && capability != 90) {
    fail(SVDIT_UNSUPPORTED,
         "SVDIT_CUDA_KERNELS is sm90, and the device has compute capability %d.%d", capability / 10,
         capability % 10);
  }
  const auto of = wanted == "sm90" ? attention_kernel_sm90 : attention_kernel_sm80;
  return of(plan.element_type, plan.head_dim, plan.layout.block);
}

}  // namespace

CudaPlan::CudaPlan(Plan &&compiled, int device, const svdit_backend_info &info)
    : svdit_plan(std::move(compiled)),
      device_(device),
      multiprocessors_(info.multiprocessors),
      tables_(make_tables(plan)),
      kernel_(attention_kernel(plan, info.compute_capability)),
      permute_(permute_kernel()) {
  const OnDevice on(device_);
  load_kernels();
  upload();
}

CudaPlan::~CudaPlan() {
  try {
    const OnDevice on(device_);
    cudaFree(memory_);  // waits for the launches that read it
  } catch (const Error &) {
    // The context is lost, and the memory with it.
  }
}

void CudaPlan::load_kernels() {
  check(cudaFuncSetAttribute(kernel_.function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             kernel_.shared_bytes),
        "loading the attention kernel");
  int per_processor = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_processor, kernel_.function,
                                                      kernel_.threads, kernel_.shared_bytes),
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  if (per_processor == 0) {
    fail(SVDIT_UNSUPPORTED,
         "the attention kernel's %d bytes of shared memory do not fit this device",
         kernel_.shared_bytes);
  }
  resident_ = per_processor * multiprocessors_;
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, permute_.function), "loading the permutation kernel");
}

void CudaPlan::upload() {
  Packed packed;
  const size_t heads = packed.add(plan.heads), head_orders = packed.add(tables_.head_orders);
  const size_t blocks = packed.add(plan.blocks), offsets = packed.add(plan.list_offsets);
  const size_t stored = packed.add(tables_.stored);
  const std::vector<char> &bytes = packed.bytes();
  check(cudaMalloc(&memory_, bytes.size()), "allocating the plan's arrays");
  try {
    check(cudaMemcpy(memory_, bytes.data(), bytes.size(), cudaMemcpyHostToDevice),
          "uploading the plan");
    check(cudaStreamSynchronize(nullptr), "uploading the plan");  // any stream may read them next
  } catch (...) {
    cudaFree(memory_);
    throw;
  }
  const char *at = static_cast<const char *>(memory_);
  arrays_ = {reinterpret_cast<const HeadPattern *>(at + heads),
             reinterpret_cast<const HeadOrder *>(at + head_orders),
             {reinterpret_cast<const int32_t *>(at + blocks),
              reinterpret_cast<const int64_t *>(at + offsets)},
             reinterpret_cast<const int32_t *>(at + stored)};
}

uint64_t CudaPlan::workspace_bytes(int32_t batch) const {
  return cuda::workspace_bytes(plan, tables_, batch);
}

void CudaPlan::attention(const svdit_attention_args &args, svdit_stream stream) const {
  const Call call(plan, tables_, arrays_, args);
  const OnDevice on(device_);
  auto *const queue = static_cast<cudaStream_t>(stream);
  check(cudaMemsetAsync(call.counters(), 0, kCounterBytes, queue), "clearing the item counters");
  PermuteParams permute;
  for (int i = 0; call.permute_launch(i, &permute); ++i) {
    void *arguments[] = {&permute};
    check(cudaLaunchKernel(permute_.function, dim3(multiprocessors_ * kPermuteBlocksPerProcessor),
                           dim3(permute_.threads), arguments, 0, queue),
          "launching the permutation");
  }
  AttentionParams params;
  for (int i = 0; call.attention_launch(i, &params); ++i) {
    KeyMaps maps;
    if (kernel_.tile_keys > 0) maps = make_key_maps(params, plan.head_dim, kernel_.tile_keys);
    void *arguments[] = {&params, &maps};
    const int32_t items = params.items(kernel_.item_rows);
    check(cudaLaunchKernel(kernel_.function, dim3(std::min(resident_, items)),
                           dim3(kernel_.threads), arguments, kernel_.shared_bytes, queue),
          "launching attention");
  }
}

void CudaPlan::sweep(const svdit_sweep_args &, svdit_stream) const {
  fail(SVDIT_UNSUPPORTED, "the CUDA backend has no sweep; sweep with a plan of the CPU backend");
}

}  // namespace svdit::cuda
