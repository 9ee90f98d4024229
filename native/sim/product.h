// The arithmetic of a warpgroup's product, and where its matrices lie in shared memory.
#ifndef SVDIT_SIM_PRODUCT_H
#define SVDIT_SIM_PRODUCT_H

#include <cstdint>

#include "shared_memory.h"
#include "warpgroup.h"

namespace svdit::sim {

int depth_of(MatrixElement element);  // k of one instruction

// Elements of a 32-bit register of A, of a warp: where element i of register r of lane l belongs in
// the warp's 16 x k rows.
void place_a_register(MatrixElement element, int lane, int r, std::uint32_t bits, float *rows);

// The matrix that a descriptor names, `lines` rows of A or columns of B: out is lines x k (k-major)
// or k x lines (transposed, the lines along memory).
struct MatrixReader {
  SharedMemory &shared;
  Access access;
  int actor;
  std::uint32_t time;

  void read(MatrixElement element, std::uint64_t descriptor, int lines, bool transposed,
            float *out);
};

// d += a b, or d = a b: 16 rows of a warp; b is k x n.
void multiply_rows(const float *a, const float *b, int k, int n, bool accumulate, float *d);

}  // namespace svdit::sim

#endif
