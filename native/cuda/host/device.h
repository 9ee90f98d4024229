// CUDA's runtime as the rest of the backend uses it: every call's code is checked, and the caller's
// current device is as it was when the library returns.
#ifndef SVDIT_CUDA_DEVICE_H
#define SVDIT_CUDA_DEVICE_H

#include <cuda_runtime_api.h>

#include <cstdint>

#include "svdit.h"

namespace svdit::cuda {

// Throws Error unless code is cudaSuccess: OUT_OF_MEMORY or DEVICE_ERROR, with CUDA's words for it.
// what was tried is named in the message.
void check(cudaError_t code, const char *what);

// Makes device the calling thread's current one, until the end of the scope.
class OnDevice {
 public:
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice &) = delete;
  OnDevice &operator=(const OnDevice &) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

// Fills info as far as it is known; throws Error UNAVAILABLE with the reason where the device
// cannot be used: no driver, driver too old, no device, no such device, an architecture the kernels
// are not for.
void probe_device(int device, svdit_backend_info &info);

}  // namespace svdit::cuda

#endif
