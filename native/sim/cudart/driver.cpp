// What the runtime tells of the driver's entry points: there are none here.
#include <cuda_runtime_api.h>

#include "sim/cudart/device.h"

cudaError_t cudaGetDriverEntryPointByVersion(const char *, void **function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult *found) {
  *function = nullptr;
  if (found != nullptr) *found = cudaDriverEntryPointSymbolNotFound;
  return svdit::sim::give(cudaSuccess);
}
