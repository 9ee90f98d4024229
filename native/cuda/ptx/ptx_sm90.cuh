// What compute capability 9.0 (sm_90a) adds to ptx.cuh: mbarriers, tensor copies (TMA), warpgroup
// matrix products (wgmma), register hand-over. All inline PTX and nothing else, like ptx.cuh; the
// simulator puts its own functions in their place.
//
// A warpgroup is four consecutive warps, the first a multiple of four. Functions marked "warp" or
// "warpgroup" must be executed by all its threads together, at the same place of the source.
#ifndef SVDIT_CUDA_PTX_SM90_CUH
#define SVDIT_CUDA_PTX_SM90_CUH

#include "cuda/ptx/matrix_descriptor.h"
#include "cuda/ptx/ptx.cuh"
#include "cuda/ptx/tensor_map.h"

#ifdef SVDIT_SIM
#include "sim/primitives_sm90.h"
#else

namespace svdit::ptx {

using cuda::TensorMap;

// ---- roles ------------------------------------------------------------------------------------

// Warp: true in one lane of it, always the same one.
__device__ __forceinline__ bool elect_one() {
  std::uint32_t elected;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.b32 %0, 1, 0, p;\n}"
               : "=r"(elected));
  return elected != 0;
}

// Warpgroup: from now on each of its threads has kCount registers (24..256, a multiple of 8) and no
// more; take waits until others of the block gave enough. The kernel needs
// __launch_bounds__(threads, 1).
template <int kCount>
__device__ __forceinline__ void give_registers() {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ __forceinline__ void take_registers() {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

// ---- mbarriers --------------------------------------------------------------------------------

// An mbarrier is 8 bytes of shared memory at a multiple of 8. Its phase ends when `arrivals`
// threads have arrived and as many bytes as expected were copied; the next one then begins. Who
// made it calls fence_mbarrier_init, then a barrier, before another thread or a copy uses it.
__device__ __forceinline__ void mbarrier_init(std::uint32_t address, std::uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// The 8 bytes may hold something else afterwards.
__device__ __forceinline__ void mbarrier_invalidate(std::uint32_t address) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(address) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive(std::uint32_t address) {
  asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(address) : "memory");
}
// Arrives, and has the phase wait for this many more bytes from tensor_load and bulk_load.
__device__ __forceinline__ void mbarrier_arrive_expect(std::uint32_t address, std::uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(address),
               "r"(bytes)
               : "memory");
}
// Waits for the end of the phase of this parity: the first phase has 0, the next 1, then 0 again. A
// phase long past counts as ended only until the next but one begins; waiting for parity 1 before
// the first phase has ended returns at once.
__device__ __forceinline__ void mbarrier_wait(std::uint32_t address, std::uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "again:\n"
      "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%0], %1;\n"
      "@p bra done;\n"
      "bra again;\n"
      "done:\n"
      "}" ::"r"(address),
      "r"(parity)
      : "memory");
}

// ---- the asynchronous proxy -------------------------------------------------------------------

// wgmma and tensor copies reach shared memory by a way of their own. Who wrote there with ordinary
// stores calls this before the barrier after which they read.
__device__ __forceinline__ void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// ---- tensor copies ----------------------------------------------------------------------------

__device__ __forceinline__ void prefetch_tensor_map(const TensorMap &map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// One thread: copies the box at element `at` (dimension 0 first) to shared memory, a multiple of
// 128 (of 1024 where the map swizzles), and tells the mbarrier of all the box's bytes, zeros from
// beyond the array included.
template <int kRank>
__device__ __forceinline__ void tensor_load(std::uint32_t to, const TensorMap &map,
                                            const std::int32_t (&at)[kRank],
                                            std::uint32_t mbarrier) {
  static_assert(kRank >= 3 && kRank <= 5);
  if constexpr (kRank == 3) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
        "[%1, {%3, %4, %5}], [%2];" ::"r"(to),
        "l"(&map), "r"(mbarrier), "r"(at[0]), "r"(at[1]), "r"(at[2])
        : "memory");
  } else if constexpr (kRank == 4) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
        "[%1, {%3, %4, %5, %6}], [%2];" ::"r"(to),
        "l"(&map), "r"(mbarrier), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
        : "memory");
  } else {
    asm volatile(
        "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
        "[%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(to),
        "l"(&map), "r"(mbarrier), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4])
        : "memory");
  }
}

// One thread: copies bytes that lie together, a multiple of 16 of them, both addresses multiples of
// 16, and tells the mbarrier of them. Needs no map: for what has no rows, as scales.
__device__ __forceinline__ void bulk_load(std::uint32_t to, const void *from, std::uint32_t bytes,
                                          std::uint32_t mbarrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(to),
      "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(mbarrier)
      : "memory");
}

// One thread: copies the box from shared memory, aligned likewise; nothing is written beyond the
// array. What was stored there needs fence_async_proxy and a barrier first.
template <int kRank>
__device__ __forceinline__ void tensor_store(const TensorMap &map, const std::int32_t (&at)[kRank],
                                             std::uint32_t from) {
  static_assert(kRank >= 3 && kRank <= 5);
  if constexpr (kRank == 3) {
    asm volatile(
        "cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4}], [%1];" ::
            "l"(&map),
        "r"(from), "r"(at[0]), "r"(at[1]), "r"(at[2])
        : "memory");
  } else if constexpr (kRank == 4) {
    asm volatile(
        "cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], "
        "[%1];" ::"l"(&map),
        "r"(from), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
        : "memory");
  } else {
    asm volatile(
        "cp.async.bulk.tensor.5d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5, %6}], "
        "[%1];" ::"l"(&map),
        "r"(from), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4])
        : "memory");
  }
}
// Makes a group of this thread's stores so far.
__device__ __forceinline__ void tensor_store_commit() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
// Waits until all of this thread's groups but the newest kNewestLeft have read shared memory, which
// may then be written again.
template <int kNewestLeft>
__device__ __forceinline__ void tensor_store_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kNewestLeft) : "memory");
}
// The same until they have been written.
template <int kNewestLeft>
__device__ __forceinline__ void tensor_store_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kNewestLeft) : "memory");
}

// ---- warpgroup matrix products ----------------------------------------------------------------

// The order of a warpgroup's work: wgmma_fence after the registers were last touched, products,
// wgmma_commit, and wgmma_wait before the accumulators, A in registers or the matrices in shared
// memory are touched again. The arrays given must stay where they are, and live, until then.
// Products into the same accumulators follow each other without waiting.
__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until all of the warpgroup's groups but the newest kNewestLeft are done.
template <int kNewestLeft>
__device__ __forceinline__ void wgmma_wait() {
  static_assert(kNewestLeft >= 0 && kNewestLeft <= 7);
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kNewestLeft) : "memory");
}
// The same, and not before sum, which is not negative, has been computed. ptxas moves a wait ahead
// of arithmetic that does not touch the products' registers, and what was to run under the products
// runs after them; ahead of a store that depends on the arithmetic, if only in that it never
// happens, it does not. shared is some address of shared memory.
template <int kNewestLeft>
__device__ __forceinline__ void wgmma_wait_after(float sum, std::uint32_t shared) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.lt.f32 p, %0, 0f00000000;\n"
      "@p st.shared.f32 [%1], %0;\n"
      "}" ::"f"(sum),
      "r"(shared)
      : "memory");
  wgmma_wait<kNewestLeft>();
}
// Tells the compiler that these registers change here. Before the first product and after the wait:
// else it may move reads of accumulators, or copies of A, to between the two, and ptxas then makes
// the products wait for each other.
template <int kRegisters>
__device__ __forceinline__ void wgmma_hold(float (&registers)[kRegisters]) {
#pragma unroll
  for (int i = 0; i < kRegisters; ++i) asm volatile("" : "+f"(registers[i])::"memory");
}
template <int kRegisters>
__device__ __forceinline__ void wgmma_hold(std::uint32_t (&registers)[kRegisters]) {
#pragma unroll
  for (int i = 0; i < kRegisters; ++i) asm volatile("" : "+r"(registers[i])::"memory");
}

// clang-format off
// For an asm statement whose first operands are the N / 2 accumulators: the operands, their names,
// and the numbers of the operands that follow them.
#define SVDIT_D8(i)                                                                  \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), \
      "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define SVDIT_D_16 SVDIT_D8(0)
#define SVDIT_D_32 SVDIT_D_16, SVDIT_D8(8)
#define SVDIT_D_48 SVDIT_D_32, SVDIT_D8(16)
#define SVDIT_D_64 SVDIT_D_48, SVDIT_D8(24)
#define SVDIT_D_80 SVDIT_D_64, SVDIT_D8(32)
#define SVDIT_D_96 SVDIT_D_80, SVDIT_D8(40)
#define SVDIT_D_112 SVDIT_D_96, SVDIT_D8(48)
#define SVDIT_D_128 SVDIT_D_112, SVDIT_D8(56)
#define SVDIT_D_144 SVDIT_D_128, SVDIT_D8(64)
#define SVDIT_D_160 SVDIT_D_144, SVDIT_D8(72)
#define SVDIT_D_176 SVDIT_D_160, SVDIT_D8(80)
#define SVDIT_D_192 SVDIT_D_176, SVDIT_D8(88)
#define SVDIT_D_208 SVDIT_D_192, SVDIT_D8(96)
#define SVDIT_D_224 SVDIT_D_208, SVDIT_D8(104)
#define SVDIT_D_240 SVDIT_D_224, SVDIT_D8(112)
#define SVDIT_D_256 SVDIT_D_240, SVDIT_D8(120)
#define SVDIT_R_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define SVDIT_R_32 SVDIT_R_16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define SVDIT_R_48 SVDIT_R_32 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define SVDIT_R_64 SVDIT_R_48 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define SVDIT_R_80 SVDIT_R_64 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define SVDIT_R_96 SVDIT_R_80 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define SVDIT_R_112 SVDIT_R_96 ", %48, %49, %50, %51, %52, %53, %54, %55"
#define SVDIT_R_128 SVDIT_R_112 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define SVDIT_R_144 SVDIT_R_128 ", %64, %65, %66, %67, %68, %69, %70, %71"
#define SVDIT_R_160 SVDIT_R_144 ", %72, %73, %74, %75, %76, %77, %78, %79"
#define SVDIT_R_176 SVDIT_R_160 ", %80, %81, %82, %83, %84, %85, %86, %87"
#define SVDIT_R_192 SVDIT_R_176 ", %88, %89, %90, %91, %92, %93, %94, %95"
#define SVDIT_R_208 SVDIT_R_192 ", %96, %97, %98, %99, %100, %101, %102, %103"
#define SVDIT_R_224 SVDIT_R_208 ", %104, %105, %106, %107, %108, %109, %110, %111"
#define SVDIT_R_240 SVDIT_R_224 ", %112, %113, %114, %115, %116, %117, %118, %119"
#define SVDIT_R_256 SVDIT_R_240 ", %120, %121, %122, %123, %124, %125, %126, %127"
#define SVDIT_EACH_N(M) \
  M(16, 8, 9, 10, 11, 12, 13, 14) \
  M(32, 16, 17, 18, 19, 20, 21, 22) \
  M(48, 24, 25, 26, 27, 28, 29, 30) \
  M(64, 32, 33, 34, 35, 36, 37, 38) \
  M(80, 40, 41, 42, 43, 44, 45, 46) \
  M(96, 48, 49, 50, 51, 52, 53, 54) \
  M(112, 56, 57, 58, 59, 60, 61, 62) \
  M(128, 64, 65, 66, 67, 68, 69, 70) \
  M(144, 72, 73, 74, 75, 76, 77, 78) \
  M(160, 80, 81, 82, 83, 84, 85, 86) \
  M(176, 88, 89, 90, 91, 92, 93, 94) \
  M(192, 96, 97, 98, 99, 100, 101, 102) \
  M(208, 104, 105, 106, 107, 108, 109, 110) \
  M(224, 112, 113, 114, 115, 116, 117, 118) \
  M(240, 120, 121, 122, 123, 124, 125, 126) \
  M(256, 128, 129, 130, 131, 132, 133, 134)

#define SVDIT_WGMMA(N, TYPES, OPERANDS, PREDICATE, ...)                                            \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #PREDICATE ", 0;\n"                           \
               "wgmma.mma_async.sync.aligned.m64n" #N TYPES " {" SVDIT_R_##N "}, " OPERANDS ";\n}"  \
               : SVDIT_D_##N : __VA_ARGS__)
#define SVDIT_SHARED_16(N, TYPES, A, B, S, T)                                                      \
  if constexpr (kRegisters == N / 2)                                                               \
    SVDIT_WGMMA(N, "k16.f32." TYPES, "%" #A ", %" #B ", p, 1, 1, 0, %" #T, S,                      \
                "l"(a), "l"(b), "r"(static_cast<int>(accumulate)), "n"(kTransposedB ? 1 : 0));
#define SVDIT_REGISTERS_16(N, TYPES, A0, A1, A2, A3, B, S, T)                                      \
  if constexpr (kRegisters == N / 2)                                                               \
    SVDIT_WGMMA(N, "k16.f32." TYPES, "{%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #B              \
                ", p, 1, 1, %" #T, S, "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),          \
                "r"(static_cast<int>(accumulate)), "n"(kTransposedB ? 1 : 0));
#define SVDIT_BF16_SHARED(N, A, B, S, T, ...) SVDIT_SHARED_16(N, "bf16.bf16", A, B, S, T)
#define SVDIT_FP16_SHARED(N, A, B, S, T, ...) SVDIT_SHARED_16(N, "f16.f16", A, B, S, T)
#define SVDIT_BF16_REGISTERS(N, ...) SVDIT_REGISTERS_16(N, "bf16.bf16", __VA_ARGS__)
#define SVDIT_FP16_REGISTERS(N, ...) SVDIT_REGISTERS_16(N, "f16.f16", __VA_ARGS__)
#define SVDIT_E4M3_SHARED(N, A, B, S, ...)                                                         \
  if constexpr (kRegisters == N / 2)                                                               \
    SVDIT_WGMMA(N, "k32.f32.e4m3.e4m3", "%" #A ", %" #B ", p, 1, 1", S,                            \
                "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
#define SVDIT_E4M3_REGISTERS(N, A0, A1, A2, A3, B, S, ...)                                         \
  if constexpr (kRegisters == N / 2)                                                               \
    SVDIT_WGMMA(N, "k32.f32.e4m3.e4m3", "{%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #B           \
                ", p, 1, 1", S, "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),                \
                "r"(static_cast<int>(accumulate)));
// clang-format on

// Warpgroup: d = a b, or d += a b where `accumulate`; 64 x k by k x N, N a multiple of 16 up to
// 256, k 16 (32 of e4m3), fp32 accumulation. Thread t of the warpgroup holds d(row, column) with
// row 16 (t / 32) + t % 32 / 4 + 8 (i / 2 % 2), column 8 (i / 4) + 2 (t % 4) + i % 2 in d[i].
//
// a: a descriptor (k-major), or in registers as mma holds it, rows 16 (t / 32) .. of the 64. b: a
// descriptor, k-major, or n-major where kTransposedB.
template <bool kTransposedB, int kRegisters>
__device__ __forceinline__ void wgmma_bf16(float (&d)[kRegisters], std::uint64_t a, std::uint64_t b,
                                           bool accumulate) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  SVDIT_EACH_N(SVDIT_BF16_SHARED)
}
template <bool kTransposedB, int kRegisters>
__device__ __forceinline__ void wgmma_bf16(float (&d)[kRegisters], const std::uint32_t (&a)[4],
                                           std::uint64_t b, bool accumulate) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  SVDIT_EACH_N(SVDIT_BF16_REGISTERS)
}
template <bool kTransposedB, int kRegisters>
__device__ __forceinline__ void wgmma_fp16(float (&d)[kRegisters], std::uint64_t a, std::uint64_t b,
                                           bool accumulate) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  SVDIT_EACH_N(SVDIT_FP16_SHARED)
}
template <bool kTransposedB, int kRegisters>
__device__ __forceinline__ void wgmma_fp16(float (&d)[kRegisters], const std::uint32_t (&a)[4],
                                           std::uint64_t b, bool accumulate) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  SVDIT_EACH_N(SVDIT_FP16_REGISTERS)
}

// The same of e4m3, b k-major. In registers, four elements of a each: register r of thread t holds
// row 16 (t / 32) + t % 32 / 4 + 8 (r % 2), columns 4 (t % 4) + 16 (r / 2) and the next three.
template <int kRegisters>
__device__ __forceinline__ void wgmma_e4m3(float (&d)[kRegisters], std::uint64_t a, std::uint64_t b,
                                           bool accumulate) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  SVDIT_EACH_N(SVDIT_E4M3_SHARED)
}
template <int kRegisters>
__device__ __forceinline__ void wgmma_e4m3(float (&d)[kRegisters], const std::uint32_t (&a)[4],
                                           std::uint64_t b, bool accumulate) {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 8 && kRegisters <= 128);
  SVDIT_EACH_N(SVDIT_E4M3_REGISTERS)
}

// clang-format off
#undef SVDIT_WGMMA
#undef SVDIT_SHARED_16
#undef SVDIT_REGISTERS_16
#undef SVDIT_BF16_SHARED
#undef SVDIT_FP16_SHARED
#undef SVDIT_E4M3_SHARED
#undef SVDIT_BF16_REGISTERS
#undef SVDIT_FP16_REGISTERS
#undef SVDIT_E4M3_REGISTERS
#undef SVDIT_EACH_N
#undef SVDIT_D8
#undef SVDIT_D_16
#undef SVDIT_R_16
#undef SVDIT_D_32
#undef SVDIT_R_32
#undef SVDIT_D_48
#undef SVDIT_R_48
#undef SVDIT_D_64
#undef SVDIT_R_64
#undef SVDIT_D_80
#undef SVDIT_R_80
#undef SVDIT_D_96
#undef SVDIT_R_96
#undef SVDIT_D_112
#undef SVDIT_R_112
#undef SVDIT_D_128
#undef SVDIT_R_128
#undef SVDIT_D_144
#undef SVDIT_R_144
#undef SVDIT_D_160
#undef SVDIT_R_160
#undef SVDIT_D_176
#undef SVDIT_R_176
#undef SVDIT_D_192
#undef SVDIT_R_192
#undef SVDIT_D_208
#undef SVDIT_R_208
#undef SVDIT_D_224
#undef SVDIT_R_224
#undef SVDIT_D_240
#undef SVDIT_R_240
#undef SVDIT_D_256
#undef SVDIT_R_256
// clang-format on

// ---- shared memory, arithmetic ----------------------------------------------------------------

// Warp: the reverse of ldmatrix: N 8x8 matrices of 16-bit elements; row r of matrix i goes to the
// 16 bytes that lane 8 i + r points at.
template <int N>
__device__ __forceinline__ void stmatrix(std::uint32_t address, const std::uint32_t (&r)[N]) {
  static_assert(N == 1 || N == 2 || N == 4);
  if constexpr (N == 1) {
    asm volatile("stmatrix.sync.aligned.m8n8.x1.shared.b16 [%0], {%1};" ::"r"(address), "r"(r[0]));
  } else if constexpr (N == 2) {
    asm volatile("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1, %2};" ::"r"(address),
                 "r"(r[0]), "r"(r[1]));
  } else {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
                 "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]));
  }
}

// Four floats rounded to nearest even, the first in the lowest byte; beyond 448 to 448.
__device__ __forceinline__ std::uint32_t pack_e4m3(float x0, float x1, float x2, float x3) {
  std::uint32_t result;
  asm("{\n"
      ".reg .b16 low, high;\n"
      "cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\n"
      "cvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
      "mov.b32 %0, {low, high};\n"
      "}"
      : "=r"(result)
      : "f"(x0), "f"(x1), "f"(x2), "f"(x3));
  return result;
}

}  // namespace svdit::ptx

#endif  // SVDIT_SIM
#endif
