// The simulated device that the runtime's functions act on, and what each of them does first.
#ifndef SVDIT_SIM_CUDART_DEVICE_H
#define SVDIT_SIM_CUDART_DEVICE_H

#include <cuda_runtime_api.h>

#include <atomic>
#include <mutex>

#include "sim/cudart/memory.h"
#include "sim/cudart/queue.h"
#include "sim/cudart/settings.h"

namespace svdit::sim {

class Device {
 public:
  static Device &instance();

  Settings settings() const;
  void configure(const char *text);  // the defaults with these; a lost context is found again

  // The error that this call must return: no driver, no device, or a context lost to a fault.
  cudaError_t state() const;
  // The stream that a handle stands for; nullptr for one that is none of ours.
  Stream *stream(cudaStream_t handle);
  // What a launch's number says: throws where it is the one that faults.
  void count_launch();

  DeviceMemory memory;
  PinnedMemory pinned;
  Queue queue;
  std::atomic<long> launches{0};  // done since the process began
  std::atomic<long> graph_launches{0};

 private:
  Device();
  mutable std::mutex mutex_;
  Settings settings_;
  long launches_until_fault_ = 0;
};

// Remembers code for cudaGetLastError of this thread, and returns it.
cudaError_t give(cudaError_t code);

}  // namespace svdit::sim

#endif
