// Device work that is no kernel of ours: what a library that stands in for one of NVIDIA's
// (native/sim/cublaslt) computes.
#include <cuda_runtime_api.h>

#include <memory>

#include "sim/cudart/device.h"

using namespace svdit::sim;

// Gives work(argument) to stream, in its order; it may run several times, where the stream is
// captured. forget(argument) follows the last. Returns 0, or a cudaError_t.
extern "C" __attribute__((visibility("default"))) int svdit_sim_enqueue(void *stream,
                                                                        void (*work)(void *),
                                                                        void *argument,
                                                                        void (*forget)(void *)) {
  const std::shared_ptr<void> kept(argument, forget);
  Device &device = Device::instance();
  if (const cudaError_t state = device.state(); state != cudaSuccess) return state;
  Stream *const queue = device.stream(static_cast<cudaStream_t>(stream));
  if (queue == nullptr) return cudaErrorInvalidResourceHandle;
  const auto run = [work, kept] {
    const DeviceMemory::Open open(Device::instance().memory);
    work(kept.get());
    return 0.01;
  };
  return device.queue.add(queue, {run, nullptr, nullptr}) ? cudaSuccess
                                                          : cudaErrorStreamCaptureImplicit;
}
