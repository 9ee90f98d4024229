// What ptx_sm90.cuh is on the host: the same functions, executed as the PTX ISA documents them.
#ifndef SVDIT_SIM_PRIMITIVES_SM90_H
#define SVDIT_SIM_PRIMITIVES_SM90_H

#include <cstdint>

#include "cuda/ptx/tensor_map.h"
#include "primitives.h"

namespace svdit::ptx {

using cuda::TensorMap;

// ---- roles ------------------------------------------------------------------------------------

bool elect_one(Site site = Site::current());

void set_registers(int count, bool take, const Site &site);
template <int kCount>
void give_registers(Site site = Site::current()) {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
  set_registers(kCount, false, site);
}
template <int kCount>
void take_registers(Site site = Site::current()) {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
  set_registers(kCount, true, site);
}

// ---- mbarriers --------------------------------------------------------------------------------

void mbarrier_init(std::uint32_t address, std::uint32_t arrivals);
void fence_mbarrier_init(Site site = Site::current());
void mbarrier_invalidate(std::uint32_t address);
void mbarrier_arrive(std::uint32_t address, Site site = Site::current());
void mbarrier_arrive_expect(std::uint32_t address, std::uint32_t bytes,
                            Site site = Site::current());
void mbarrier_wait(std::uint32_t address, std::uint32_t parity, Site site = Site::current());

// ---- the asynchronous proxy, tensor copies ----------------------------------------------------

void fence_async_proxy(Site site = Site::current());

void prefetch_tensor_map(const TensorMap &map);
void load_box(std::uint32_t to, const TensorMap &map, const std::int32_t *at, int rank,
              std::uint32_t mbarrier);
void bulk_load(std::uint32_t to, const void *from, std::uint32_t bytes, std::uint32_t mbarrier);
void store_box(const TensorMap &map, const std::int32_t *at, int rank, std::uint32_t from);
void wait_for_stores(int newest_left, bool written, const Site &site);

template <int kRank>
void tensor_load(std::uint32_t to, const TensorMap &map, const std::int32_t (&at)[kRank],
                 std::uint32_t mbarrier) {
  static_assert(kRank >= 3 && kRank <= 5);
  load_box(to, map, at, kRank, mbarrier);
}
template <int kRank>
void tensor_store(const TensorMap &map, const std::int32_t (&at)[kRank], std::uint32_t from) {
  static_assert(kRank >= 3 && kRank <= 5);
  store_box(map, at, kRank, from);
}
void tensor_store_commit(Site site = Site::current());
template <int kNewestLeft>
void tensor_store_wait_read(Site site = Site::current()) {
  wait_for_stores(kNewestLeft, false, site);
}
template <int kNewestLeft>
void tensor_store_wait(Site site = Site::current()) {
  wait_for_stores(kNewestLeft, true, site);
}

// ---- warpgroup matrix products ----------------------------------------------------------------

using sim::MatrixElement;

// a: a descriptor, or, where registers is not NULL, those.
void multiply(MatrixElement element, float *d, int n, std::uint64_t a,
              const std::uint32_t *registers, std::uint64_t b, bool transposed_b, bool accumulate,
              const Site &site);
void wgmma_fence(Site site = Site::current());
void wgmma_commit(Site site = Site::current());
void wait_for_products(int newest_left, const Site &site);
template <int kNewestLeft>
void wgmma_wait(Site site = Site::current()) {
  static_assert(kNewestLeft >= 0 && kNewestLeft <= 7);
  wait_for_products(kNewestLeft, site);
}
template <int kNewestLeft>
void wgmma_wait_after(float sum, std::uint32_t, Site site = Site::current()) {
  if (sum < 0) sim::fail("wgmma_wait_after a sum of %g", sum);
  wgmma_wait<kNewestLeft>(site);
}
template <int kRegisters>
void wgmma_hold(float (&)[kRegisters]) {}
template <int kRegisters>
void wgmma_hold(std::uint32_t (&)[kRegisters]) {}

template <bool kTransposedB, int kRegisters>
void wgmma_bf16(float (&d)[kRegisters], std::uint64_t a, std::uint64_t b, bool accumulate,
                Site site = Site::current()) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  multiply(MatrixElement::kBf16, d, 2 * kRegisters, a, nullptr, b, kTransposedB, accumulate, site);
}
template <bool kTransposedB, int kRegisters>
void wgmma_bf16(float (&d)[kRegisters], const std::uint32_t (&a)[4], std::uint64_t b,
                bool accumulate, Site site = Site::current()) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  multiply(MatrixElement::kBf16, d, 2 * kRegisters, 0, a, b, kTransposedB, accumulate, site);
}
template <bool kTransposedB, int kRegisters>
void wgmma_fp16(float (&d)[kRegisters], std::uint64_t a, std::uint64_t b, bool accumulate,
                Site site = Site::current()) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  multiply(MatrixElement::kFp16, d, 2 * kRegisters, a, nullptr, b, kTransposedB, accumulate, site);
}
template <bool kTransposedB, int kRegisters>
void wgmma_fp16(float (&d)[kRegisters], const std::uint32_t (&a)[4], std::uint64_t b,
                bool accumulate, Site site = Site::current()) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  multiply(MatrixElement::kFp16, d, 2 * kRegisters, 0, a, b, kTransposedB, accumulate, site);
}
template <int kRegisters>
void wgmma_e4m3(float (&d)[kRegisters], std::uint64_t a, std::uint64_t b, bool accumulate,
                Site site = Site::current()) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  multiply(MatrixElement::kE4m3, d, 2 * kRegisters, a, nullptr, b, false, accumulate, site);
}
template <int kRegisters>
void wgmma_e4m3(float (&d)[kRegisters], const std::uint32_t (&a)[4], std::uint64_t b,
                bool accumulate, Site site = Site::current()) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  multiply(MatrixElement::kE4m3, d, 2 * kRegisters, 0, a, b, false, accumulate, site);
}

// ---- shared memory, arithmetic ----------------------------------------------------------------

void store_matrices(const std::uint32_t *registers, int count, std::uint32_t address,
                    const Site &site);
template <int N>
void stmatrix(std::uint32_t address, const std::uint32_t (&registers)[N],
              Site site = Site::current()) {
  static_assert(N == 1 || N == 2 || N == 4);
  store_matrices(registers, N, address, site);
}
std::uint32_t pack_e4m3(float x0, float x1, float x2, float x3);

}  // namespace svdit::ptx

#endif
