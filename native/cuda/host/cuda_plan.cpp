#include "cuda/host/cuda_plan.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cuda/host/device.h"
#include "cuda/host/sweep_call.h"
#include "cuda/kernels/key_maps.h"

namespace svdit::cuda {
namespace {

constexpr int kCopyBlocksPerProcessor = 8;

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
  if (plan.element_type == SVDIT_E4M3 && wanted != "sm90") {
    fail(SVDIT_UNSUPPORTED,
         "element_type is 3 (E4M3), which takes compute capability 9.0%s; the device has %d.%d",
         named != nullptr ? " and its kernels" : "", capability / 10, capability % 10);
  }
  const auto of = wanted == "sm90" ? attention_kernel_sm90 : attention_kernel_sm80;
  return of(plan.element_type, plan.head_dim, plan.layout.block);
}

double tiles(const Plan &plan) {
  double pairs = 0;
  for (int32_t h = 0; h < plan.head_count(); ++h) {
    pairs += plan.density(h, plan.layout.key_text) * plan.query_tokens() * plan.key_tokens();
  }
  return pairs / (static_cast<double>(plan.layout.block) * plan.layout.block);
}

// An event of the scope it is made in.
class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event &) = delete;
  Event &operator=(const Event &) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

CudaPlan::CudaPlan(Plan &&compiled, int device, const svdit_backend_info &info,
                   cudaStream_t upload_stream)
    : svdit_plan(std::move(compiled)),
      device_(device),
      multiprocessors_(info.multiprocessors),
      tables_(make_tables(plan)),
      kernel_(attention_kernel(plan, info.compute_capability)),
      permute_(permute_kernel()),
      quantise_(quantise_kernel(plan.head_dim)),
      sweep_(sweep_kernel_sm80(plan.tensor_type(), plan.head_dim, plan.layout.block)),
      choice_({device, kernel_.function, plan.groups, tiles(plan)}) {
  const OnDevice on(device_);
  load_kernels();
  upload(upload_stream);
}

CudaPlan::~CudaPlan() {
  try {
    const OnDevice on(device_);
    cudaFree(memory_);  // waits for the launches that read it
  } catch (const Error &) {
    // The context is lost, and the memory with it.
  }
}

// Returns how many blocks of a kernel the device runs at once.
int CudaPlan::load(const void *function, int threads, int shared_bytes, const char *what) const {
  check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes),
        what);
  int per_processor = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_processor, function, threads,
                                                      shared_bytes),
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  if (per_processor == 0) {
    fail(SVDIT_UNSUPPORTED, "%s: its %d bytes of shared memory do not fit this device", what,
         shared_bytes);
  }
  return per_processor * multiprocessors_;
}

void CudaPlan::load_kernels() {
  resident_ =
      load(kernel_.function, kernel_.threads, kernel_.shared_bytes, "loading the attention kernel");
  sweep_resident_ =
      load(sweep_.function, sweep_.threads, sweep_.shared_bytes, "loading the sweep's kernel");
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, permute_.function), "loading the permutation kernel");
  if (quantises()) {
    check(cudaFuncGetAttributes(&attributes, quantise_.function), "loading the rounding kernel");
  }
}

void CudaPlan::upload(cudaStream_t stream) {
  Packed packed;
  const size_t heads = packed.add(plan.heads), head_orders = packed.add(tables_.head_orders);
  const size_t blocks = packed.add(plan.blocks), offsets = packed.add(plan.list_offsets);
  const size_t stored = packed.add(tables_.stored);
  const std::vector<char> &bytes = packed.bytes();
  check(cudaMalloc(&memory_, bytes.size()), "allocating the plan's arrays");
  memory_bytes_ = bytes.size();
  try {
    check(cudaMemcpyAsync(memory_, bytes.data(), bytes.size(), cudaMemcpyHostToDevice, stream),
          "uploading the plan");
    check(cudaStreamSynchronize(stream), "uploading the plan");  // any stream may read them next
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
  if (args.cancelled != nullptr) {
    fail(SVDIT_UNSUPPORTED, "cancelled is %p: a call on CUDA cannot be cancelled, expected NULL",
         static_cast<const void *>(args.cancelled));
  }
  const Call call(plan, tables_, arrays_, args);
  const OnDevice on(device_, stream);
  auto *const queue = static_cast<cudaStream_t>(stream);
  check(cudaMemsetAsync(call.counters(), 0, kCounterBytes, queue), "clearing the item counters");
  PermuteParams permute;
  for (int i = 0; call.permute_launch(i, &permute); ++i) {
    void *arguments[] = {&permute};
    check(cudaLaunchKernel(permute_.function, dim3(multiprocessors_ * kCopyBlocksPerProcessor),
                           dim3(permute_.threads), arguments, 0, queue),
          "launching the permutation");
  }
  static const std::vector<int32_t> all = {Call::kAllGroups};
  AttentionParams params;
  int32_t launch = 0;
  for (const int32_t group : apart(args) ? tables_.groups : all) {
    for (int i = 0; call.attention_launch(group, i, launch, &params); ++i, ++launch) {
      KeyMaps maps;
      if (kernel_.tile_keys > 0) maps = make_key_maps(params, plan.head_dim, kernel_.tile_keys);
      QuantisedHeads heads = call.quantised();
      void *arguments[] = {&params, quantises() ? static_cast<void *>(&heads) : &maps};
      if (quantises()) {
        check(cudaLaunchKernel(quantise_.function, dim3(multiprocessors_ * kCopyBlocksPerProcessor),
                               dim3(quantise_.threads), arguments, quantise_.shared_bytes, queue),
              "launching the rounding to e4m3");
      }
      const int32_t items = params.items(kernel_.item_rows);
      check(cudaLaunchKernel(kernel_.function, dim3(std::min(resident_, items)),
                             dim3(kernel_.threads), arguments, kernel_.shared_bytes, queue),
            "launching attention");
    }
  }
}

bool CudaPlan::apart(const svdit_attention_args &args) const {
  if (args.launches == SVDIT_LAUNCHES_TOGETHER || !may_launch_groups(plan)) return false;
  return args.launches == SVDIT_LAUNCHES_APART || choice_.apart();
}

bool CudaPlan::tune(const svdit_attention_args &given, svdit_stream stream,
                    float (&times)[2]) const {
  constexpr int kRounds = 5;  // after one to warm up; the least time of each counts
  if (!may_launch_groups(plan)) return false;
  const OnDevice on(device_, stream);
  auto *const queue = static_cast<cudaStream_t>(stream);
  const Event begin, end;
  const auto time_ms = [&](const svdit_attention_args &args) {
    check(cudaEventRecord(begin, queue), "cudaEventRecord");
    attention(args, stream);
    check(cudaEventRecord(end, queue), "cudaEventRecord");
    check(cudaEventSynchronize(end), "measuring launches");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
    return ms;
  };
  svdit_attention_args together = given, apart = given, one_block = given;
  together.launches = one_block.launches = SVDIT_LAUNCHES_TOGETHER;
  apart.launches = SVDIT_LAUNCHES_APART;
  // The head of the caller's range that costs least.
  for (const int32_t head : tables_.by_cost) {
    if (head >= given.head_begin && head < given.head_end) one_block.head_begin = head;
  }
  one_block.head_end = one_block.head_begin + 1;
  one_block.query_block_end = one_block.query_block_begin + 1;
  LaunchTimes least{1e30, 1e30, 1e30};
  for (int round = 0; round <= kRounds; ++round) {  // in turns, so that what disturbs hits all
    const LaunchTimes now{time_ms(one_block), time_ms(together), time_ms(apart)};
    if (round == 0) continue;
    least = {std::min(least.launch_ms, now.launch_ms), std::min(least.together_ms, now.together_ms),
             std::min(least.apart_ms, now.apart_ms)};
  }
  choice_.measured(least);
  times[0] = static_cast<float>(least.together_ms);
  times[1] = static_cast<float>(least.apart_ms);
  return true;
}

uint64_t CudaPlan::sweep_workspace_bytes(const svdit_sweep_args &args) const {
  return SweepCall(plan, args, sweep_resident_).workspace_bytes();
}

void CudaPlan::sweep(const svdit_sweep_args &args, svdit_stream stream) const {
  const SweepCall call(plan, args, sweep_resident_);
  SweepParams params = call.params();
  const std::vector<char> inputs = call.inputs();
  const OnDevice on(device_, stream);
  auto *const queue = static_cast<cudaStream_t>(stream);
  check(cudaMemcpyAsync(args.workspace, inputs.data(), inputs.size(), cudaMemcpyDefault, queue),
        "uploading a sweep's arrays");
  void *arguments[] = {&params};
  check(cudaLaunchKernel(sweep_.function, dim3(call.blocks()), dim3(sweep_.threads), arguments,
                         sweep_.shared_bytes, queue),
        "launching the sweep");
  for (const SweepCall::Result &result : call.results()) {
    check(cudaMemcpyAsync(result.to, result.from, result.bytes, cudaMemcpyDefault, queue),
          "fetching a sweep's results");
  }
  check(cudaStreamSynchronize(queue), "waiting for the sweep");
}

}  // namespace svdit::cuda
