#include "sim/cudart/device.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace svdit::sim {
namespace {

constexpr const char *kInjected = "an illegal memory access was encountered, as asked for";
thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

std::string environment() {
  const char *text = std::getenv("SVDIT_SIM");
  return text == nullptr ? "" : text;
}

// The text of a fault, as static storage: cudaGetErrorString's callers keep the pointer.
const char *kept(const std::string &text) {
  static std::mutex mutex;
  static std::map<std::string, int> texts;
  const std::lock_guard lock(mutex);
  return texts.try_emplace(text, 0).first->first.c_str();
}

}  // namespace

// Never destroyed: its thread runs as long as the process.
Device &Device::instance() {
  static Device *const device = new Device;
  return *device;
}

Device::Device() : queue(1, [this] { return settings().late_us; }) {
  settings_.parse(environment());
  launches_until_fault_ = settings_.fault;
}

Settings Device::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

void Device::configure(const char *text) {
  Settings settings;
  settings.parse(text);
  {
    const std::lock_guard lock(mutex_);
    settings_ = settings;
    launches_until_fault_ = settings.fault;
  }
  queue.revive();
}

cudaError_t Device::state() const {
  const Settings now = settings();
  if (now.driver / 1000 < CUDART_VERSION / 1000) return cudaErrorInsufficientDriver;
  if (now.devices == 0) return cudaErrorNoDevice;
  const auto fault = queue.fault();
  if (!fault) return cudaSuccess;
  return *fault == kInjected ? cudaErrorIllegalAddress : cudaErrorLaunchFailure;
}

Stream *Device::stream(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return queue.legacy();
  auto *stream = reinterpret_cast<Stream *>(handle);
  return queue.known(stream) ? stream : nullptr;
}

void Device::count_launch() {
  {
    const std::lock_guard lock(mutex_);
    if (launches_until_fault_ == 0 || --launches_until_fault_ > 0) {
      ++launches;
      return;
    }
  }
  throw std::runtime_error(kInjected);
}

cudaError_t give(cudaError_t code) {
  if (code != cudaSuccess) last_error = code;
  return code;
}

}  // namespace svdit::sim

using svdit::sim::Device;
using svdit::sim::give;

// For tests: sets the device up anew ("driver=0", "fault=3 memory=1000000"); 0 where the text is
// not understood.
extern "C" __attribute__((visibility("default"))) int32_t svdit_sim_configure(const char *text) {
  try {
    Device::instance().configure(text);
    return 1;
  } catch (const std::exception &) {
    return 0;
  }
}
// For tests: how many kernels the device ran so far; how many graphs were launched; how many bytes
// of its memory are in use.
extern "C" __attribute__((visibility("default"))) int64_t svdit_sim_launches() {
  return Device::instance().launches;
}
extern "C" __attribute__((visibility("default"))) int64_t svdit_sim_graph_launches() {
  return Device::instance().graph_launches;
}
extern "C" __attribute__((visibility("default"))) int64_t svdit_sim_memory_used() {
  return static_cast<int64_t>(Device::instance().memory.used());
}

// ---- versions, devices, errors ------------------------------------------------------------------

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) {
  *version = Device::instance().settings().driver;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int *count) {
  *count = 0;
  const cudaError_t state = Device::instance().state();
  if (state == cudaSuccess) *count = Device::instance().settings().devices;
  return give(state);
}
cudaError_t cudaGetDevice(int *device) {
  *device = svdit::sim::current_device;
  return give(Device::instance().state());
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= Device::instance().settings().devices) {
    return give(cudaErrorInvalidDevice);
  }
  svdit::sim::current_device = device;
  return give(Device::instance().state());
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  const svdit::sim::Settings settings = Device::instance().settings();
  if (device < 0 || device >= settings.devices) return give(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "Simulated device %d", device);
  properties->major = settings.capability / 10;
  properties->minor = settings.capability % 10;
  properties->multiProcessorCount = 3;  // few, so that a block takes several items
  properties->totalGlobalMem = settings.memory;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->sharedMemPerBlock = 48 << 10;
  properties->sharedMemPerBlockOptin = settings.capability >= 90 ? 227 << 10 : 99 << 10;
  return give(Device::instance().state());
}
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  const cudaError_t code = cudaGetDeviceProperties(&properties, device);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      return code;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlockOptin);
      return code;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      return code;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      return code;
    default:
      return give(cudaErrorInvalidValue);
  }
}
cudaError_t cudaGetLastError() {
  const cudaError_t code = svdit::sim::last_error;
  svdit::sim::last_error = cudaSuccess;
  const cudaError_t state = Device::instance().state();
  return state == cudaErrorIllegalAddress || state == cudaErrorLaunchFailure ? state : code;
}
cudaError_t cudaPeekAtLastError() { return svdit::sim::last_error; }

const char *cudaGetErrorName(cudaError_t code) {
  switch (code) {
#define NAME(name) \
  case name:       \
    return #name;
    NAME(cudaSuccess)
    NAME(cudaErrorInvalidValue)
    NAME(cudaErrorMemoryAllocation)
    NAME(cudaErrorInvalidConfiguration)
    NAME(cudaErrorInsufficientDriver)
    NAME(cudaErrorNoDevice)
    NAME(cudaErrorInvalidDevice)
    NAME(cudaErrorInvalidDeviceFunction)
    NAME(cudaErrorNoKernelImageForDevice)
    NAME(cudaErrorInvalidResourceHandle)
    NAME(cudaErrorNotReady)
    NAME(cudaErrorIllegalAddress)
    NAME(cudaErrorLaunchFailure)
    NAME(cudaErrorStreamCaptureUnsupported)
    NAME(cudaErrorStreamCaptureInvalidated)
    NAME(cudaErrorStreamCaptureImplicit)
    NAME(cudaErrorStreamCaptureWrongThread)
    NAME(cudaErrorIllegalState)
    NAME(cudaErrorCapturedEvent)
#undef NAME
    default:
      return "an error the simulation has no name for";
  }
}
const char *cudaGetErrorString(cudaError_t code) {
  switch (code) {
    case cudaErrorLaunchFailure: {
      const auto fault = Device::instance().queue.fault();
      return svdit::sim::kept("unspecified launch failure: " + fault.value_or(""));
    }
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoKernelImageForDevice:
      return "no kernel image is available for execution on the device";
    case cudaErrorStreamCaptureImplicit:
      return "operation would make the legacy stream depend on a capturing blocking stream";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default:
      return cudaGetErrorName(code);
  }
}
