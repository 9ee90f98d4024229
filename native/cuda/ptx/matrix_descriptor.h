// The 64-bit words by which wgmma (ptx_sm90.cuh) finds a matrix in shared memory (PTX ISA,
// "Matrix-descriptor"). The matrix lies as a tensor copy with the same swizzle leaves it: rows of
// 64 or 128 bytes, eight to a span that starts at a multiple of 1024.
#ifndef SVDIT_CUDA_MATRIX_DESCRIPTOR_H
#define SVDIT_CUDA_MATRIX_DESCRIPTOR_H

#include <cstdint>

#include "cuda/ptx/tensor_map.h"

#if defined(__CUDACC__)
#define SVDIT_DESCRIPTOR __host__ __device__ constexpr
#else
#define SVDIT_DESCRIPTOR constexpr
#endif

namespace svdit::cuda {

SVDIT_DESCRIPTOR std::uint64_t matrix_descriptor(std::uint32_t address, std::uint32_t leading_bytes,
                                                 std::uint32_t stride_bytes, Swizzle swizzle) {
  const std::uint64_t mode = swizzle == Swizzle::k128 ? 1 : swizzle == Swizzle::k64 ? 2 : 0;
  return (address & 0x3ffff) >> 4 | static_cast<std::uint64_t>(leading_bytes >> 4) << 16 |
         static_cast<std::uint64_t>(stride_bytes >> 4) << 32 | mode << 62;
}

// A row for each row of A (column of B), k along the row: one instruction takes 32 bytes of each
// row, so the next k are at descriptor_ahead(descriptor, 32), up to the row's end. group_bytes:
// from eight rows to the next eight.
SVDIT_DESCRIPTOR std::uint64_t k_major_descriptor(std::uint32_t address,
                                                  Swizzle swizzle = Swizzle::k128,
                                                  std::uint32_t group_bytes = 1024) {
  return matrix_descriptor(address, 16, group_bytes, swizzle);
}

// A row for each k, columns of B along the row ("transposed"; 16-bit elements only): one
// instruction takes 16 rows. group_bytes: from eight rows to the next eight; next_bytes: from a row
// to where its next 64 columns are (128-byte swizzle), used where B has more.
SVDIT_DESCRIPTOR std::uint64_t n_major_descriptor(std::uint32_t address, std::uint32_t next_bytes,
                                                  std::uint32_t group_bytes = 1024) {
  return matrix_descriptor(address, next_bytes, group_bytes, Swizzle::k128);
}

// The same matrix, `bytes` (a multiple of 16) further on.
SVDIT_DESCRIPTOR std::uint64_t descriptor_ahead(std::uint64_t descriptor, std::uint32_t bytes) {
  return descriptor + (bytes >> 4);
}

}  // namespace svdit::cuda

#undef SVDIT_DESCRIPTOR
#endif
