// What ptx.cuh is on the host: the same functions, executed as the PTX ISA documents them. Whatever
// ptx.cuh has and this header lacks does not compile; whatever the hardware leaves undefined ends
// in a Fault.
#ifndef SVDIT_SIM_PRIMITIVES_H
#define SVDIT_SIM_PRIMITIVES_H

#include <cstdint>

#include "machine.h"
#include "places.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

namespace svdit::ptx {

using sim::Site;

struct alignas(16) Bits128 {
  std::uint32_t x, y, z, w;
};

// ---- place ------------------------------------------------------------------------------------

inline int thread_index() {
  const sim::Lane &lane = sim::current();
  return lane.warp->index * sim::kLanes + lane.index;
}
inline int block_index() { return sim::current().warp->block->index; }
inline int block_index_anew() { return block_index(); }
inline int block_count() { return sim::block_count(); }

// ---- synchronisation --------------------------------------------------------------------------

void barrier(Site site = Site::current());
void barrier_sync(int id, int threads, Site site = Site::current());
void barrier_arrive(int id, int threads, Site site = Site::current());
void warp_sync(Site site = Site::current());

// ---- shared memory ----------------------------------------------------------------------------

inline std::uint32_t shared_memory() { return sim::SharedMemory::kBase; }
std::uint32_t load_shared(std::uint32_t address, Site site = Site::current());
void store_shared(std::uint32_t address, std::uint32_t value, Site site = Site::current());
Bits128 load_shared_16(std::uint32_t address, Site site = Site::current());
void store_shared_16(std::uint32_t address, const Bits128 &value, Site site = Site::current());

void load_matrices(std::uint32_t *registers, int count, bool transposed, std::uint32_t address,
                   const Site &site);
template <int N>
void ldmatrix(std::uint32_t (&registers)[N], std::uint32_t address, Site site = Site::current()) {
  static_assert(N == 1 || N == 2 || N == 4);
  load_matrices(registers, N, false, address, site);
}
template <int N>
void ldmatrix_transposed(std::uint32_t (&registers)[N], std::uint32_t address,
                         Site site = Site::current()) {
  static_assert(N == 1 || N == 2 || N == 4);
  load_matrices(registers, N, true, address, site);
}

// ---- asynchronous copies ----------------------------------------------------------------------

void copy_async_16(std::uint32_t to, const void *from, std::uint32_t valid_bytes,
                   Site site = Site::current());
inline void copy_async_commit(Site site = Site::current()) {
  if (!sim::left_out("copy_async_commit", site)) sim::current().copy_async_commit();
}
template <int NewestLeft>
void copy_async_wait(Site site = Site::current()) {
  if (!sim::left_out("copy_async_wait", site)) sim::current().copy_async_wait(NewestLeft);
}

// ---- global memory ----------------------------------------------------------------------------

Bits128 load_global_16(const void *from);
void store_global_16(void *to, const Bits128 &value);
std::uint32_t atomic_add(std::uint32_t *at, std::uint32_t value);

// ---- between lanes ----------------------------------------------------------------------------

float shuffle_xor(float value, int lane_mask, Site site = Site::current());
std::uint32_t shuffle(std::uint32_t value, int lane, Site site = Site::current());

// ---- arithmetic -------------------------------------------------------------------------------

void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
              Site site = Site::current());
void mma_fp16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
              Site site = Site::current());
std::uint32_t pack_bf16(float low, float high);
std::uint32_t pack_fp16(float low, float high);
void unpack_fp16(std::uint32_t two, float &low, float &high);
float exp2_approx(float x);
float log2_approx(float x);

}  // namespace svdit::ptx

#endif
