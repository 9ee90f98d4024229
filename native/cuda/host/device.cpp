#include "cuda/host/device.h"

#include <cstdio>

#include "base/error.h"
#include "cuda/kernels/kernels.h"

namespace svdit::cuda {
namespace {

constexpr int kOldestCapability = 80;

// Errors after which the device's context answers nothing but the same error.
bool sticky(cudaError_t code) {
  switch (code) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
      return true;
    default:
      return false;
  }
}

}  // namespace

void check(cudaError_t code, const char *what) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // what is reported here must not surface in the caller's next call
  fail(code == cudaErrorMemoryAllocation ? SVDIT_OUT_OF_MEMORY : SVDIT_DEVICE_ERROR,
       "%s: %s (%s)%s", what, cudaGetErrorString(code), cudaGetErrorName(code),
       sticky(code) ? "; the device's context is lost for this process" : "");
}

OnDevice::OnDevice(int device) {
  check(cudaGetDevice(&before_), "cudaGetDevice");
  if (before_ != device) {
    check(cudaSetDevice(device), "cudaSetDevice");
    changed_ = true;
  }
  cudaThreadExchangeStreamCaptureMode(&mode_);
}

OnDevice::OnDevice(int device, svdit_stream stream) : OnDevice(device) {
  if (stream != nullptr && stream != cudaStreamLegacy) return;
  Captures &captures = Captures::of(device);
  if (captures.enter()) {
    inside_ = &captures;
    if (!default_stream_barred()) return;
  }
  fail(SVDIT_INVALID_ARGUMENT,
       "the default stream of device %d was given while another stream of it is captured, which "
       "that would break: give a stream of your own, or wait until the capture ends",
       device);
}

OnDevice::~OnDevice() {
  if (inside_ != nullptr) inside_->leave();
  cudaThreadExchangeStreamCaptureMode(&mode_);
  if (changed_) cudaSetDevice(before_);
}

void probe_device(int device, svdit_backend_info &info) {
  check(cudaRuntimeGetVersion(&info.runtime_version), "cudaRuntimeGetVersion");
  const int needed = info.runtime_version / 1000;
  if (cudaDriverGetVersion(&info.driver_version) != cudaSuccess || info.driver_version == 0) {
    cudaGetLastError();
    info.driver_version = 0;
    fail(SVDIT_UNAVAILABLE, "no NVIDIA driver: libcuda.so.1 was not found or does not answer");
  }
  if (info.driver_version / 1000 < needed) {
    fail(SVDIT_UNAVAILABLE,
         "the NVIDIA driver is too old: it supports CUDA %d.%d, this library needs CUDA %d (driver "
         "580 or "
         "later)",
         info.driver_version / 1000, info.driver_version % 1000 / 10, needed);
  }
  int devices = 0;
  const cudaError_t counted = cudaGetDeviceCount(&devices);
  if (counted != cudaSuccess || devices == 0) {
    cudaGetLastError();
    const bool none = counted == cudaSuccess || counted == cudaErrorNoDevice;
    fail(SVDIT_UNAVAILABLE,
         none ? "the NVIDIA driver sees no CUDA device%s%s" : "no CUDA device: %s (%s)",
         none ? "" : cudaGetErrorString(counted), none ? "" : cudaGetErrorName(counted));
  }
  if (device >= devices) {
    fail(SVDIT_UNAVAILABLE, "device is %d, but CUDA sees %d device%s", device, devices,
         devices == 1 ? "" : "s");
  }
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  std::snprintf(info.name, sizeof info.name, "%.127s", properties.name);
  info.compute_capability = properties.major * 10 + properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory_bytes = properties.totalGlobalMem;
  if (info.compute_capability < kOldestCapability) {
    fail(SVDIT_UNAVAILABLE, "%s has compute capability %d.%d, the kernels need 8.0 or later",
         info.name, properties.major, properties.minor);
  }
  const OnDevice on(device);
  cudaFuncAttributes attributes;
  const cudaError_t loaded = cudaFuncGetAttributes(&attributes, permute_kernel().function);
  if (loaded != cudaSuccess) {
    cudaGetLastError();
    fail(SVDIT_UNAVAILABLE,
         "this library has no kernels that run on %s (compute capability %d.%d): %s (%s)",
         info.name, properties.major, properties.minor, cudaGetErrorString(loaded),
         cudaGetErrorName(loaded));
  }
  size_t available = 0, total = 0;
  check(cudaMemGetInfo(&available, &total), "cudaMemGetInfo");
  info.memory_free_bytes = available;
}

}  // namespace svdit::cuda
