// What the tensor copies of compute capability 9.0 (ptx_sm90.cuh: tensor_load, tensor_store) know
// of the array in global memory: made on the host, given to the kernel as a const __grid_constant__
// parameter.
#ifndef SVDIT_CUDA_TENSOR_MAP_H
#define SVDIT_CUDA_TENSOR_MAP_H

#include <cstdint>

namespace svdit::cuda {

// The driver's CUtensorMap, opaque; of the simulator, a struct of its own.
struct alignas(128) TensorMap {
  std::uint64_t opaque[16];
};

// How the 16-byte chunks of a box's rows lie in shared memory: in a span of 8 rows of kN bytes
// each, chunk c of row r is stored as chunk c xor r (kNone: as c; k64: xor r / 2). The span starts
// at a multiple of 1024 bytes. A row of the box has kN bytes.
enum class Swizzle : std::uint32_t { kNone = 0, k64 = 64, k128 = 128 };

// An array of rank 3 to 5. Dimension 0 is contiguous.
struct TensorShape {
  const void *data;  // a multiple of 16
  std::uint32_t rank;
  std::uint32_t element_bytes;  // 1 or 2
  std::uint64_t extent[5];      // elements, at least 1; what a box reaches beyond is read as 0 and
                                // not written
  std::uint64_t stride[5];      // bytes, multiples of 16; of dimension 0: the element's
  std::uint32_t box[5];         // elements a copy moves, at most 256 a dimension
  Swizzle swizzle;
};

// Throws Error: SVDIT_INVALID_ARGUMENT for a shape that breaks the rules above, SVDIT_UNSUPPORTED
// where the driver has no tensor maps.
TensorMap encode_tensor_map(const TensorShape &shape);

// The rules alone.
void check_tensor_shape(const TensorShape &shape);

}  // namespace svdit::cuda

#endif
