// Every primitive of ptx_sm90.cuh on inputs made from addresses and the thread's number. Compiled
// for a GPU by native/test/device/golden_sm90.cu, which records what comes out, and for the
// simulator by golden_sm90_test.cpp, which replays the record. All products are of small integers,
// so that they are exact in any order.
#ifndef SVDIT_TEST_SIM_GOLDEN_SM90_CUH
#define SVDIT_TEST_SIM_GOLDEN_SM90_CUH

#include "cuda/ptx/ptx_sm90.cuh"
#include "test/sim/golden.cuh"

namespace svdit::golden_sm90 {

using golden::awkward;
using golden::bits_of;
using golden::mixed;

inline constexpr const char *kSections[] = {"wgmma m64n16k16 bf16",
                                            "wgmma m64n176k16 bf16",
                                            "wgmma m64n128k16 fp16",
                                            "wgmma m64n128k16 bf16, B transposed",
                                            "wgmma m64n192k16 fp16, A registers, B transposed",
                                            "wgmma m64n96k16 bf16, A registers",
                                            "wgmma m64n128k32 e4m3",
                                            "wgmma m64n64k32 e4m3, A registers",
                                            "wgmma m64n16k16 bf16, rows of 64 bytes",
                                            "wgmma that does not add",
                                            "tensor_load of 3 dimensions, 128-byte swizzle",
                                            "tensor_load of 4 dimensions, 64-byte swizzle",
                                            "tensor_load of 5 dimensions, no swizzle",
                                            "tensor_store",
                                            "mbarriers of a ring, registers handed over",
                                            "stmatrix x1",
                                            "stmatrix x2",
                                            "stmatrix x4",
                                            "cvt e4m3x2",
                                            "elect",
                                            "wgmma m64n64k32 e4m3, A registers, 64-byte swizzle",
                                            "wgmma m64n128k32 e4m3, 64-byte swizzle",
                                            "bulk_load"};
inline constexpr int kSectionCount = sizeof kSections / sizeof kSections[0];
inline constexpr int kStoreSection = 13, kPackSection = 18;
inline constexpr std::uint32_t kAllSections = (1u << kSectionCount) - 1;
inline constexpr std::uint32_t kNotRecorded = 0xffffffff;  // every word of a section left out
inline constexpr int kRecorders = 128;                     // the first warpgroup
inline constexpr int kThreads = 256;                       // the second produces
inline constexpr int kWords = 8;
inline constexpr int kResultWords = kSectionCount * kRecorders * kWords;
inline constexpr std::uint32_t kA = 0, kB = 8192, kFull = 40 * 1024, kEmpty = kFull + 8,
                               kLoaded = kFull + 16;
inline constexpr int kSharedBytes = 40 * 1024 + 64;

// Of each of the arrays that boxes are copied from and to.
inline constexpr int kArrayBytes = 4096;
struct Maps {
  cuda::TensorMap load3, load4, load5, store;
};
inline Maps make_maps(const void *source, void *target) {
  using cuda::Swizzle;
  return {cuda::encode_tensor_map(
              {source, 3, 2, {64, 13, 2}, {2, 128, 2048}, {64, 8, 1}, Swizzle::k128}),
          cuda::encode_tensor_map(
              {source, 4, 2, {32, 13, 2, 2}, {2, 128, 64, 2048}, {32, 8, 2, 1}, Swizzle::k64}),
          cuda::encode_tensor_map({source,
                                   5,
                                   1,
                                   {64, 13, 2, 2, 1},
                                   {1, 128, 64, 2048, 4096},
                                   {64, 8, 2, 1, 1},
                                   Swizzle::kNone}),
          cuda::encode_tensor_map(
              {target, 3, 2, {64, 9, 2}, {2, 144, 2048}, {64, 8, 1}, Swizzle::k128})};
}

enum Type { kBf16, kFp16, kE4m3 };

// Two or four small integers that follow from a number.
template <Type kType>
__device__ inline std::uint32_t integers(std::uint32_t from) {
  const std::uint32_t h = mixed(from);
  const auto digit = [&](int i) {
    return static_cast<float>(static_cast<int>(h >> 8 * i & 7) - 3);
  };
  if constexpr (kType == kBf16) return ptx::pack_bf16(digit(0), digit(1));
  if constexpr (kType == kFp16) return ptx::pack_fp16(digit(0), digit(1));
  if constexpr (kType == kE4m3) return ptx::pack_e4m3(digit(0), digit(1), digit(2), digit(3));
}

// The first warpgroup: matrices that are what lies at their addresses; every register of the result
// ends in one of the eight words.
template <Type kType, int kN, bool kRegisters, bool kTransposed, cuda::Swizzle kSwizzle,
          bool kAdd = true>
__device__ inline void product(int thread, std::uint32_t shared, std::uint32_t *words) {
  ptx::barrier_sync(1, kRecorders);  // nobody reads what is there any more
  for (std::uint32_t at = 4 * thread; at < kFull; at += 4 * kRecorders) {
    ptx::store_shared(shared + at, integers<kType>(at + 100000 * kN));
  }
  ptx::fence_async_proxy();
  ptx::barrier_sync(1, kRecorders);
  float d[kN / 2];
  std::uint32_t a[2][4];
  for (int i = 0; i < kN / 2; ++i) d[i] = static_cast<float>(thread % 7 + i % 5);
  for (int step = 0; step < 2; ++step) {
    for (int r = 0; r < 4; ++r) a[step][r] = integers<kType>(thread * 8 + step * 4 + r);
  }
  constexpr std::uint32_t kGroup = kSwizzle == cuda::Swizzle::k128 ? 1024 : 512;
  const std::uint64_t a_there = cuda::k_major_descriptor(shared + kA, kSwizzle, kGroup);
  const std::uint64_t b_there = kTransposed
                                    ? cuda::n_major_descriptor(shared + kB, 4096)
                                    : cuda::k_major_descriptor(shared + kB, kSwizzle, kGroup);
  ptx::wgmma_hold(d);
  ptx::wgmma_hold(a[0]);
  ptx::wgmma_hold(a[1]);
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < 2; ++step) {
    const std::uint64_t a_step = cuda::descriptor_ahead(a_there, 32 * step);
    const std::uint64_t b_step =
        cuda::descriptor_ahead(b_there, kTransposed ? 2048 * step : 32 * step);
    const bool add = kAdd || step > 0;
    if constexpr (kType == kE4m3) {
      if constexpr (kRegisters) ptx::wgmma_e4m3(d, a[step], b_step, add);
      if constexpr (!kRegisters) ptx::wgmma_e4m3(d, a_step, b_step, add);
    } else if constexpr (kType == kBf16) {
      if constexpr (kRegisters) ptx::wgmma_bf16<kTransposed>(d, a[step], b_step, add);
      if constexpr (!kRegisters) ptx::wgmma_bf16<kTransposed>(d, a_step, b_step, add);
    } else {
      if constexpr (kRegisters) ptx::wgmma_fp16<kTransposed>(d, a[step], b_step, add);
      if constexpr (!kRegisters) ptx::wgmma_fp16<kTransposed>(d, a_step, b_step, add);
    }
  }
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  ptx::wgmma_hold(d);
  ptx::wgmma_hold(a[0]);
  ptx::wgmma_hold(a[1]);
  for (int word = 0; word < kWords; ++word) {
    float sum = 0;
    for (int i = word; i < kN / 2; i += kWords) sum += d[i] * static_cast<float>(i / kWords + 1);
    words[word] = bits_of(sum);
  }
}

// Thread 0 loads the 1,024 bytes of a box; each thread records eight of them.
template <int kRank>
__device__ inline void load(int thread, std::uint32_t shared, const cuda::TensorMap &map,
                            const std::int32_t (&at)[kRank], std::uint32_t parity,
                            std::uint32_t *words) {
  ptx::fence_async_proxy();  // what was stored there before is not to land after the copy
  ptx::barrier_sync(1, kRecorders);
  if (thread == 0) {
    ptx::mbarrier_arrive_expect(shared + kLoaded, 1024);
    ptx::tensor_load(shared + kA, map, at, shared + kLoaded);
  }
  ptx::mbarrier_wait(shared + kLoaded, parity);
  for (int i = 0; i < 2; ++i) words[i] = ptx::load_shared(shared + kA + 8 * thread + 4 * i);
}

// Thread 0 loads 512 bytes as a run and 16 as another, between zeros; each thread records eight.
__device__ inline void load_runs(int thread, std::uint32_t shared, const unsigned char *source,
                                 std::uint32_t parity, std::uint32_t *words) {
  ptx::barrier_sync(1, kRecorders);
  for (int i = 0; i < 2; ++i) ptx::store_shared(shared + kA + 8 * thread + 4 * i, 0);
  ptx::fence_async_proxy();
  ptx::barrier_sync(1, kRecorders);
  if (thread == 0) {
    ptx::mbarrier_arrive_expect(shared + kLoaded, 528);
    ptx::bulk_load(shared + kA + 48, source + 1040, 512, shared + kLoaded);
    ptx::bulk_load(shared + kA + 16 * 40, source + 16 * 7, 16, shared + kLoaded);
  }
  ptx::mbarrier_wait(shared + kLoaded, parity);
  for (int i = 0; i < 2; ++i) words[i] = ptx::load_shared(shared + kA + 8 * thread + 4 * i);
}

template <int N>
__device__ inline void store_matrices(int thread, std::uint32_t shared, std::uint32_t *words) {
  ptx::barrier_sync(1, kRecorders);
  if (thread >= 32) return;
  for (int i = 0; i < 4; ++i) ptx::store_shared(shared + 16 * thread + 4 * i, 0);
  ptx::warp_sync();
  std::uint32_t registers[N];
  for (int i = 0; i < N; ++i) registers[i] = mixed(thread * 4 + i);
  ptx::stmatrix(shared + 16 * (thread * 5 % 32), registers);
  ptx::warp_sync();
  const ptx::Bits128 got = ptx::load_shared_16(shared + 16 * thread);
  words[0] = got.x;
  words[1] = got.y;
  words[2] = got.z;
  words[3] = got.w;
}

// The second warpgroup: three boxes through one stage, which the first gives back each time.
__device__ inline void produce(std::uint32_t shared, const cuda::TensorMap &map) {
  ptx::give_registers<40>();
  if (ptx::thread_index() / 32 != 4 || !ptx::elect_one()) return;
  ptx::prefetch_tensor_map(map);
  for (int round = 0; round < 3; ++round) {
    ptx::mbarrier_wait(shared + kEmpty, (round & 1) ^ 1);
    ptx::mbarrier_arrive_expect(shared + kFull, 1024);
    ptx::tensor_load(shared + kB, map, {0, 2 * round, round % 2}, shared + kFull);
  }
}

// One block of kThreads with kSharedBytes; results is for kResultWords, of which the store's
// section is filled by the host from the target array. sections: bit i for section i.
__global__ void __launch_bounds__(kThreads, 1)
    record(const __grid_constant__ Maps maps, const unsigned char *source, std::uint32_t sections,
           std::uint32_t *results) {
  using cuda::Swizzle;
  const int thread = ptx::thread_index();
  const std::uint32_t shared = ptx::shared_memory();
  if (thread == 0) {
    ptx::mbarrier_init(shared + kFull, 1);
    ptx::mbarrier_init(shared + kEmpty, 4);
    ptx::mbarrier_init(shared + kLoaded, 1);
    ptx::fence_mbarrier_init();
  }
  ptx::barrier();
  if (thread >= kRecorders) {
    produce(shared, maps.load3);
    return;
  }
  ptx::take_registers<232>();
  int section = 0;
  std::uint32_t loads = 0;  // that kLoaded was waited for
  const auto put = [&](auto &&make) {
    if ((sections >> section & 1) == 0) {
      ++section;
      return;
    }
    std::uint32_t words[kWords] = {};
    make(words);
    for (int i = 0; i < kWords; ++i) {
      results[(section * kRecorders + thread) * kWords + i] = words[i];
    }
    ++section;
  };

  // The ring first: the stage lies where the products' matrices will be.
  std::uint32_t ring[kWords] = {};
  for (int round = 0; round < 3; ++round) {
    ptx::mbarrier_wait(shared + kFull, round & 1);
    for (int i = 0; i < 2; ++i) {
      ring[2 * round + i] = ptx::load_shared(shared + kB + 8 * thread + 4 * i);
    }
    ptx::warp_sync();
    if (thread % 32 == 0) ptx::mbarrier_arrive(shared + kEmpty);
  }

#define SVDIT_PRODUCT(...) \
  put([&](std::uint32_t *words) { product<__VA_ARGS__>(thread, shared, words); })
  SVDIT_PRODUCT(kBf16, 16, false, false, Swizzle::k128);
  SVDIT_PRODUCT(kBf16, 176, false, false, Swizzle::k128);
  SVDIT_PRODUCT(kFp16, 128, false, false, Swizzle::k128);
  SVDIT_PRODUCT(kBf16, 128, false, true, Swizzle::k128);
  SVDIT_PRODUCT(kFp16, 192, true, true, Swizzle::k128);
  SVDIT_PRODUCT(kBf16, 96, true, false, Swizzle::k128);
  SVDIT_PRODUCT(kE4m3, 128, false, false, Swizzle::k128);
  SVDIT_PRODUCT(kE4m3, 64, true, false, Swizzle::k128);
  SVDIT_PRODUCT(kBf16, 16, false, false, Swizzle::k64);
  SVDIT_PRODUCT(kBf16, 32, false, false, Swizzle::k128, false);

  // Boxes that reach beyond the array before its begin and after its end.
  put([&](std::uint32_t *words) {
    load(thread, shared, maps.load3, {0, -3, 1}, loads++ & 1, words);
  });
  put([&](std::uint32_t *words) {
    load(thread, shared, maps.load4, {0, 9, 0, 1}, loads++ & 1, words);
  });
  put([&](std::uint32_t *words) {
    load(thread, shared, maps.load5, {0, 7, 0, 1, 0}, loads++ & 1, words);
  });

  put([&](std::uint32_t *) {
    ptx::barrier_sync(1, kRecorders);
    for (int i = 0; i < 2; ++i)
      ptx::store_shared(shared + 8 * thread + 4 * i, mixed(2 * thread + i));
    ptx::fence_async_proxy();
    ptx::barrier_sync(1, kRecorders);
    if (thread != 0) return;
    ptx::tensor_store(maps.store, {0, 1, 0}, shared);
    ptx::tensor_store_commit();
    ptx::tensor_store(maps.store, {0, 4, 1}, shared);
    ptx::tensor_store_commit();
    ptx::tensor_store_wait_read<1>();
    ptx::tensor_store_wait<0>();
  });

  put([&](std::uint32_t *words) {
    for (int i = 0; i < kWords; ++i) words[i] = ring[i];
  });
  put([&](std::uint32_t *words) { store_matrices<1>(thread, shared, words); });
  put([&](std::uint32_t *words) { store_matrices<2>(thread, shared, words); });
  put([&](std::uint32_t *words) { store_matrices<4>(thread, shared, words); });
  put([&](std::uint32_t *words) {
    for (int i = 0; i < kWords; ++i) {
      const float x = awkward(thread % 32 * 2 + i);
      words[i] = ptx::pack_e4m3(x, x * 0.01f, static_cast<float>(thread * kWords + i) * 0.4375f,
                                -static_cast<float>(thread * kWords + i) * 0.001f);
    }
  });
  put([&](std::uint32_t *words) {
    float elected = ptx::elect_one() ? 1.0f : 0.0f;
    for (int mask = 1; mask < 32; mask *= 2) elected += ptx::shuffle_xor(elected, mask);
    words[0] = bits_of(elected);
  });
  SVDIT_PRODUCT(kE4m3, 64, true, false, Swizzle::k64);
  SVDIT_PRODUCT(kE4m3, 128, false, false, Swizzle::k64);
#undef SVDIT_PRODUCT
  put([&](std::uint32_t *words) { load_runs(thread, shared, source, loads++ & 1, words); });
  if (thread == 0) ptx::mbarrier_invalidate(shared + kLoaded);
}

}  // namespace svdit::golden_sm90

#endif
