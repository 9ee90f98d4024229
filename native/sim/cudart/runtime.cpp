// CUDA runtime functions of the simulated device: memory, streams, events, launches, graphs. Those
// the backend uses, and no others: a missing one does not link.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "sim/cudart/device.h"
#include "sim/cudart/kernels.h"
#include "sim/machine.h"

using namespace svdit::sim;

struct CUevent_st {
  std::mutex mutex;
  std::shared_ptr<Recorded> last;
};
struct CUgraph_st {
  std::vector<Work> work;
};
struct CUgraphExec_st {
  std::vector<Work> work;
};

namespace {

// The device's clock: invented, the same in every run, and no prediction of any real device.
constexpr double kLaunchMs = 0.004, kCollectiveMs = 2e-6, kByteMs = 1e-9;
constexpr int kResident = 3;  // blocks at once, as in the kernels' own tests
constexpr std::size_t kPlainSharedBytes = 48 << 10;

std::mutex functions_mutex;
std::map<const void *, std::size_t> allowed_shared_bytes;

Device &device() { return Device::instance(); }

// Gives code unless the device is in no state to do anything.
cudaError_t done(cudaError_t code = cudaSuccess) {
  const cudaError_t state = device().state();
  return give(state != cudaSuccess ? state : code);
}

// Of whose captures this thread takes notice.
thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

CaptureMode mode_of(cudaStreamCaptureMode mode) {
  switch (mode) {
    case cudaStreamCaptureModeThreadLocal:
      return CaptureMode::kThreadLocal;
    case cudaStreamCaptureModeRelaxed:
      return CaptureMode::kRelaxed;
    default:
      return CaptureMode::kGlobal;
  }
}

// What a call that CUDA calls unsafe during a capture does first: allocating, freeing, waiting and
// asking whether something is done, loading a kernel, making a graph runnable. Of the last two
// CUDA's documentation says nothing; who is ready for a refusal is ready for none.
cudaError_t unsafe() {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  return give(device().queue.allows_unsafe(mode_of(thread_mode))
                  ? cudaSuccess
                  : cudaErrorStreamCaptureUnsupported);
}

cudaError_t queued(Stream *stream, Work work) {
  return give(device().queue.add(stream, std::move(work)) ? cudaSuccess
                                                          : cudaErrorStreamCaptureImplicit);
}

double move(void *to, const void *from, std::size_t bytes) {
  const DeviceMemory::Open open(device().memory);
  std::memcpy(to, from, bytes);
  return kLaunchMs + static_cast<double>(bytes) * kByteMs;
}

// Arguments as they were at the launch.
class Arguments {
 public:
  Arguments(const Kernel &kernel, void **arguments) : kernel_(&kernel) {
    for (std::size_t i = 0; i < kernel.argument_bytes.size(); ++i) {
      const std::size_t bytes = kernel.argument_bytes[i];
      values_.emplace_back(static_cast<char *>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)),
                           &std::free);
      std::memcpy(values_.back().get(), arguments[i], bytes);
    }
  }
  void call() const {
    std::vector<void *> pointers;
    for (const auto &value : values_) pointers.push_back(value.get());
    kernel_->call(pointers.data());
  }

 private:
  const Kernel *kernel_;
  std::vector<std::shared_ptr<char>> values_;
};

}  // namespace

// ---- memory -------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void **address, std::size_t bytes) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  void *memory = device().memory.allocate(bytes, device().settings().memory);
  if (memory == nullptr) return give(cudaErrorMemoryAllocation);
  *address = memory;
  return cudaSuccess;
}
// Does not wait for the device, as no caller may rely on it.
cudaError_t cudaFree(void *address) {
  if (address == nullptr) return done();
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  return done(device().memory.release(address) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaMallocHost(void **address, std::size_t bytes) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  void *memory = device().pinned.allocate(bytes);
  if (memory == nullptr) return give(cudaErrorMemoryAllocation);
  *address = memory;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void *address) {
  if (address == nullptr) return done();
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  return done(device().pinned.release(address) ? cudaSuccess : cudaErrorInvalidValue);
}
cudaError_t cudaMemGetInfo(std::size_t *available, std::size_t *total) {
  *total = device().settings().memory;
  *available = *total - std::min(*total, device().memory.used());
  return done();
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t handle) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  using Place = DeviceMemory::Place;
  const Place target = device().memory.place(to, bytes),
              source = device().memory.place(from, bytes);
  if (target == Place::kOutside || source == Place::kOutside) return give(cudaErrorInvalidValue);
  const auto asynchronous = [&](const void *host, Place place) {
    return place == Place::kDevice || device().pinned.holds(host, bytes);
  };
  const bool from_pageable = !asynchronous(from, source), to_pageable = !asynchronous(to, target);
  if ((from_pageable || to_pageable) && device().queue.capturing(stream)) {
    device().queue.break_capture(stream);
    return give(cudaErrorStreamCaptureUnsupported);
  }
  if (from_pageable) {  // staged before the call returns
    const auto *bytes_now = static_cast<const char *>(from);
    auto staged = std::make_shared<std::vector<char>>(bytes_now, bytes_now + bytes);
    const cudaError_t code =
        queued(stream, {[=] { return move(to, staged->data(), bytes); }, nullptr, nullptr});
    if (code != cudaSuccess || !to_pageable) return code;
  } else {
    const cudaError_t code =
        queued(stream, {[=] { return move(to, from, bytes); }, nullptr, nullptr});
    if (code != cudaSuccess || !to_pageable) return code;
  }
  return cudaStreamSynchronize(handle);
}
cudaError_t cudaMemcpy(void *to, const void *from, std::size_t bytes, cudaMemcpyKind kind) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  const cudaError_t code = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return code != cudaSuccess ? code : cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemsetAsync(void *address, int value, std::size_t bytes, cudaStream_t handle) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  if (device().memory.place(address, bytes) != DeviceMemory::Place::kDevice) {
    return give(cudaErrorInvalidValue);
  }
  return queued(stream, {[=] {
                           const DeviceMemory::Open open(device().memory);
                           std::memset(address, value, bytes);
                           return kLaunchMs + static_cast<double>(bytes) * kByteMs;
                         },
                         nullptr, nullptr});
}
cudaError_t cudaMemset(void *address, int value, std::size_t bytes) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  return cudaMemsetAsync(address, value, bytes, nullptr);
}

// ---- streams and events -------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  const bool blocking = (flags & cudaStreamNonBlocking) == 0;
  *stream = reinterpret_cast<cudaStream_t>(device().queue.create(blocking));
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned *flags) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  *flags = stream->blocking ? cudaStreamDefault : cudaStreamNonBlocking;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  Stream *const stream = device().stream(handle);
  if (stream == nullptr || stream->legacy) return give(cudaErrorInvalidResourceHandle);
  device().queue.destroy(stream);
  return done();
}
cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  return done(device().queue.wait(stream) ? cudaSuccess : cudaErrorStreamCaptureUnsupported);
}
cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  return done(device().queue.wait_all() ? cudaSuccess : cudaErrorStreamCaptureUnsupported);
}
cudaError_t cudaEventCreate(cudaEvent_t *event) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
  return cudaEventCreate(event);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return done();
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  auto recorded = std::make_shared<Recorded>();
  {
    const std::lock_guard lock(event->mutex);
    event->last = recorded;
  }
  return queued(stream, {nullptr, recorded, nullptr});
}
namespace {
std::shared_ptr<Recorded> last_of(cudaEvent_t event) {
  const std::lock_guard lock(event->mutex);
  return event->last;
}
}  // namespace
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  const std::shared_ptr<Recorded> recorded = last_of(event);
  if (recorded == nullptr) return cudaSuccess;
  if (recorded->captured) return give(cudaErrorCapturedEvent);  // forks inside of a capture: none
  return queued(stream, {nullptr, nullptr, recorded});
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  const std::shared_ptr<Recorded> recorded = last_of(event);
  if (recorded == nullptr) return cudaSuccess;
  if (recorded->captured) return give(cudaErrorCapturedEvent);
  return device().queue.is_done(recorded) ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  const std::shared_ptr<Recorded> recorded = last_of(event);
  if (recorded == nullptr) return cudaSuccess;
  if (recorded->captured) return give(cudaErrorCapturedEvent);
  device().queue.wait(recorded);
  return done();
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begin, cudaEvent_t end) {
  const std::shared_ptr<Recorded> from = last_of(begin), to = last_of(end);
  if (from == nullptr || to == nullptr) return give(cudaErrorInvalidResourceHandle);
  if (!device().queue.is_done(from) || !device().queue.is_done(to)) return give(cudaErrorNotReady);
  *ms = static_cast<float>(to->ms - from->ms);
  return done();
}

// ---- kernels ------------------------------------------------------------------------------------

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *function) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  if (find_kernel(function) == nullptr) return give(cudaErrorInvalidDeviceFunction);
  if (!device().settings().kernels) return give(cudaErrorNoKernelImageForDevice);
  *attributes = {};
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value) {
  cudaFuncAttributes attributes;
  if (const cudaError_t code = cudaFuncGetAttributes(&attributes, function); code != cudaSuccess) {
    return code;
  }
  cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, 0);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<std::size_t>(value) > properties.sharedMemPerBlockOptin) {
    return give(cudaErrorInvalidValue);
  }
  const std::lock_guard lock(functions_mutex);
  std::size_t &allowed = allowed_shared_bytes[function];
  allowed = std::max(allowed, static_cast<std::size_t>(value));
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *function,
                                                          int threads, std::size_t shared_bytes) {
  cudaFuncAttributes attributes;
  if (const cudaError_t code = cudaFuncGetAttributes(&attributes, function); code != cudaSuccess) {
    return code;
  }
  cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, 0);
  const std::size_t room = properties.sharedMemPerBlockOptin;
  *blocks = threads > 1024 || shared_bytes > room ? 0 : shared_bytes * 2 > room ? 1 : 2;
  return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments,
                             std::size_t shared_bytes, cudaStream_t handle) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  const Kernel *const kernel = find_kernel(function);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  if (kernel == nullptr) return give(cudaErrorInvalidDeviceFunction);
  if (!device().settings().kernels) return give(cudaErrorNoKernelImageForDevice);
  if (grid.x == 0 || grid.y != 1 || grid.z != 1 || block.x == 0 || block.x > 1024 || block.y != 1 ||
      block.z != 1) {
    return give(cudaErrorInvalidConfiguration);
  }
  {
    const std::lock_guard lock(functions_mutex);
    if (shared_bytes > std::max(kPlainSharedBytes, allowed_shared_bytes[function])) {
      return give(cudaErrorInvalidValue);
    }
  }
  const Launch shape{static_cast<int>(grid.x), static_cast<int>(block.x),
                     static_cast<std::uint32_t>(shared_bytes), device().settings().seed, kResident};
  const Arguments own(*kernel, arguments);
  return queued(stream, {[=] {
                           device().count_launch();
                           if (device().settings().idle) return kLaunchMs;
                           const DeviceMemory::Open open(device().memory);
                           const Report report = launch(shape, [&] { own.call(); });
                           return kLaunchMs +
                                  static_cast<double>(report.collectives) / grid.x * kCollectiveMs;
                         },
                         nullptr, nullptr});
}

// ---- graphs -------------------------------------------------------------------------------------

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode *mode) {
  std::swap(*mode, thread_mode);
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  return give(device().queue.begin_capture(stream, mode_of(mode))
                  ? cudaSuccess
                  : cudaErrorStreamCaptureUnsupported);
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
  *graph = nullptr;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  if (!device().queue.may_end_capture(stream)) return give(cudaErrorStreamCaptureWrongThread);
  const std::shared_ptr<Graph> captured = device().queue.end_capture(stream);
  if (captured == nullptr) return give(cudaErrorIllegalState);
  if (captured->broken) return give(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{captured->work};
  return done();
}
cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  if (stream->legacy && device().queue.blocking_captured()) {
    return give(cudaErrorStreamCaptureImplicit);  // this question breaks no capture
  }
  *status = device().queue.capturing(stream) ? cudaStreamCaptureStatusActive
                                             : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *runnable, cudaGraph_t graph, unsigned long long) {
  if (const cudaError_t state = unsafe(); state != cudaSuccess) return state;
  *runnable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t runnable, cudaStream_t handle) {
  if (const cudaError_t state = done(); state != cudaSuccess) return state;
  Stream *const stream = device().stream(handle);
  if (stream == nullptr) return give(cudaErrorInvalidResourceHandle);
  ++device().graph_launches;
  return queued(stream, {[work = runnable->work] {
                           double ms = 0;
                           for (const Work &piece : work) ms += piece.run ? piece.run() : 0;
                           return ms;
                         },
                         nullptr, nullptr});
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return done();
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t runnable) {
  delete runnable;
  return done();
}
