// The kernels the simulated device can launch.
#ifndef SVDIT_SIM_CUDART_KERNELS_H
#define SVDIT_SIM_CUDART_KERNELS_H

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace svdit::sim {

// How a __global__ function, compiled for the host, is called with cudaLaunchKernel's arguments.
struct Kernel {
  std::vector<std::size_t> argument_bytes;
  std::function<void(void **arguments)> call;
};

namespace detail {
template <class... Arguments, std::size_t... i>
void call(const void *function, void **arguments, std::index_sequence<i...>) {
  reinterpret_cast<void (*)(Arguments...)>(const_cast<void *>(function))(
      *static_cast<Arguments *>(arguments[i])...);
}
}  // namespace detail

// A kernel that takes arguments of these types.
template <class... Arguments>
Kernel takes(const void *function) {
  return {{sizeof(Arguments)...}, [function](void **arguments) {
            detail::call<Arguments...>(function, arguments,
                                       std::index_sequence_for<Arguments...>{});
          }};
}

// nullptr for a function that is in no line of kernels.cpp.
const Kernel *find_kernel(const void *function);

}  // namespace svdit::sim

#endif
