// All inline PTX of the CUDA backend, and nothing else. Kernels reach shared memory, the tensor
// cores and each other only through these functions, so that the simulator (native/sim), which puts
// its own in their place, runs the kernels' source on the host. Registers hold two 16-bit elements
// each, the first in the low half.
#ifndef SVDIT_CUDA_PTX_CUH
#define SVDIT_CUDA_PTX_CUH

#ifdef SVDIT_SIM
#include "sim/primitives.h"
#else

#include <cstdint>

namespace svdit::ptx {

struct alignas(16) Bits128 {
  std::uint32_t x, y, z, w;
};

// ---- place ------------------------------------------------------------------------------------

// Volatile, so that what is computed from it is computed where it is asked for: a compiler that
// moves all of a persistent kernel's addresses out of its outermost loop runs out of registers.
__device__ __forceinline__ int thread_index() {
  int index;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
  return index;
}
__device__ __forceinline__ int block_index() { return static_cast<int>(blockIdx.x); }
// The same, volatile as thread_index is.
__device__ __forceinline__ int block_index_anew() {
  int index;
  asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(index));
  return index;
}
__device__ __forceinline__ int block_count() { return static_cast<int>(gridDim.x); }

// ---- synchronisation --------------------------------------------------------------------------

// All threads of the block.
__device__ __forceinline__ void barrier() { asm volatile("barrier.sync.aligned 0;" ::: "memory"); }

// `threads` threads (whole warps) of the block at barrier id 0..15; arrive does not wait for the
// others.
__device__ __forceinline__ void barrier_sync(int id, int threads) {
  asm volatile("barrier.sync.aligned %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void barrier_arrive(int id, int threads) {
  asm volatile("barrier.arrive.aligned %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void warp_sync() {
  asm volatile("bar.warp.sync 0xffffffff;" ::: "memory");
}

// ---- shared memory ----------------------------------------------------------------------------

// Address of the block's dynamic shared memory, a multiple of 1024.
__device__ __forceinline__ std::uint32_t shared_memory() {
  extern __shared__ __align__(1024) unsigned char dynamic_shared_memory[];
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(dynamic_shared_memory));
}

__device__ __forceinline__ std::uint32_t load_shared(std::uint32_t address) {
  std::uint32_t value;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(address));
  return value;
}
__device__ __forceinline__ void store_shared(std::uint32_t address, std::uint32_t value) {
  asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(value));
}
__device__ __forceinline__ Bits128 load_shared_16(std::uint32_t address) {
  Bits128 v;
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(address));
  return v;
}
__device__ __forceinline__ void store_shared_16(std::uint32_t address, const Bits128 &v) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(v.x), "r"(v.y),
               "r"(v.z), "r"(v.w));
}

// N 8x8 matrices of 16-bit elements; row r of matrix i is the 16 bytes that lane 8 i + r points at.
template <int N>
__device__ __forceinline__ void ldmatrix(std::uint32_t (&r)[N], std::uint32_t address) {
  static_assert(N == 1 || N == 2 || N == 4);
  if constexpr (N == 1) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                 : "=r"(r[0])
                 : "r"(address));
  } else if constexpr (N == 2) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(address));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
  }
}
template <int N>
__device__ __forceinline__ void ldmatrix_transposed(std::uint32_t (&r)[N], std::uint32_t address) {
  static_assert(N == 1 || N == 2 || N == 4);
  if constexpr (N == 1) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                 : "=r"(r[0])
                 : "r"(address));
  } else if constexpr (N == 2) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(address));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
  }
}

// ---- asynchronous copies ----------------------------------------------------------------------

// 16 bytes of shared memory: the first valid_bytes from global memory, the others 0. Past the
// level-1 cache.
__device__ __forceinline__ void copy_async_16(std::uint32_t to, const void *from,
                                              std::uint32_t valid_bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(valid_bytes)
               : "memory");
}
// Makes a group of this thread's copies so far.
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until all of this thread's groups but the newest NewestLeft have arrived.
template <int NewestLeft>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(NewestLeft) : "memory");
}

// ---- global memory ----------------------------------------------------------------------------

__device__ __forceinline__ Bits128 load_global_16(const void *from) {
  Bits128 v;
  asm volatile("ld.global.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from)
               : "memory");
  return v;
}
__device__ __forceinline__ void store_global_16(void *to, const Bits128 &v) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(v.x), "r"(v.y), "r"(v.z),
               "r"(v.w)
               : "memory");
}
// Returns what was there before.
__device__ __forceinline__ std::uint32_t atomic_add(std::uint32_t *at, std::uint32_t value) {
  std::uint32_t before;
  asm volatile("atom.global.add.u32 %0, [%1], %2;" : "=r"(before) : "l"(at), "r"(value) : "memory");
  return before;
}

// ---- between lanes ----------------------------------------------------------------------------

// The value of the lane whose index is this one's xor lane_mask; of lane `lane`.
__device__ __forceinline__ float shuffle_xor(float value, int lane_mask) {
  float result;
  asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;"
               : "=f"(result)
               : "f"(value), "r"(lane_mask));
  return result;
}
__device__ __forceinline__ std::uint32_t shuffle(std::uint32_t value, int lane) {
  std::uint32_t result;
  asm volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1f, 0xffffffff;"
               : "=r"(result)
               : "r"(value), "r"(lane));
  return result;
}

// ---- arithmetic -------------------------------------------------------------------------------

// d += a b: 16x16 by 16x8, fp32 accumulation.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                         std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void mma_fp16(float (&d)[4], const std::uint32_t (&a)[4],
                                         std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, "
      "%9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two floats rounded to nearest even.
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}
__device__ __forceinline__ std::uint32_t pack_fp16(float low, float high) {
  std::uint32_t result;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}

// The two halves of a register as floats.
__device__ __forceinline__ void unpack_fp16(std::uint32_t two, float &low, float &high) {
  asm("{ .reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }"
      : "=f"(low), "=f"(high)
      : "r"(two));
}

// 2^x and log2 x to about 2^-22; subnormals are taken for 0.
__device__ __forceinline__ float exp2_approx(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
__device__ __forceinline__ float log2_approx(float x) {
  float result;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

}  // namespace svdit::ptx

#endif  // SVDIT_SIM
#endif
