// CUDA's runtime as the rest of the backend uses it: every call's code is checked, and the caller's
// current device is as it was when the library returns.
#ifndef SVDIT_CUDA_DEVICE_H
#define SVDIT_CUDA_DEVICE_H

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/host/captures.h"
#include "svdit.h"

namespace svdit::cuda {

// Throws Error unless code is cudaSuccess: OUT_OF_MEMORY or DEVICE_ERROR, with CUDA's words for it.
// what was tried is named in the message.
void check(cudaError_t code, const char *what);

// Makes device the calling thread's current one, until the end of the scope. What the thread
// allocates, frees or waits for meanwhile is none of a capture's, so it breaks none either, not
// even one that another library began in CUDA's global mode.
class OnDevice {
 public:
  explicit OnDevice(int device);
  // To give stream work, or to wait for it. Throws Error INVALID_ARGUMENT where it is the legacy
  // default stream (NULL) and a capture is under way, which using that stream would break; no
  // capture begins on the device before the end of the scope then.
  OnDevice(int device, svdit_stream stream);
  ~OnDevice();
  OnDevice(const OnDevice &) = delete;
  OnDevice &operator=(const OnDevice &) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;  // to be the thread's, outside
  Captures *inside_ = nullptr;
};

// Fills info as far as it is known; throws Error UNAVAILABLE with the reason where the device
// cannot be used: no driver, driver too old, no device, no such device, an architecture the kernels
// are not for.
void probe_device(int device, svdit_backend_info &info);

}  // namespace svdit::cuda

#endif
