// The driver's rules for tensor maps (CUDA driver API, cuTensorMapEncodeTiled), so that what breaks
// one is told which, and the simulator refuses what the driver would.
#include "base/error.h"
#include "cuda/ptx/tensor_map.h"

namespace svdit::cuda {

void check_tensor_shape(const TensorShape &shape) {
  const auto refuse = [](const char *what, std::uint64_t value) {
    fail(SVDIT_INVALID_ARGUMENT, "tensor map: %s is %llu", what,
         static_cast<unsigned long long>(value));
  };
  if (shape.rank < 3 || shape.rank > 5) refuse("rank (3 to 5)", shape.rank);
  if (shape.element_bytes != 1 && shape.element_bytes != 2)
    refuse("element_bytes (1 or 2)", shape.element_bytes);
  const auto address = reinterpret_cast<std::uintptr_t>(shape.data);
  if (address == 0 || address % 16 != 0) refuse("data (a multiple of 16)", address);
  if (shape.stride[0] != shape.element_bytes) refuse("stride of dimension 0", shape.stride[0]);
  for (std::uint32_t i = 0; i < shape.rank; ++i) {
    if (shape.extent[i] < 1 || shape.extent[i] > 1ull << 32)
      refuse("extent (1 to 2^32)", shape.extent[i]);
    if (i > 0 && (shape.stride[i] % 16 != 0 || shape.stride[i] >= 1ull << 40))
      refuse("stride (a multiple of 16 below 2^40)", shape.stride[i]);
    if (shape.box[i] < 1 || shape.box[i] > 256) refuse("box (1 to 256)", shape.box[i]);
  }
  const std::uint32_t row = shape.box[0] * shape.element_bytes;
  if (row % 16 != 0) refuse("bytes of a box's row (a multiple of 16)", row);
  const auto swizzle = static_cast<std::uint32_t>(shape.swizzle);
  if (swizzle != 0 && row != swizzle) refuse("bytes of a box's row (the swizzle's)", row);
}

}  // namespace svdit::cuda
