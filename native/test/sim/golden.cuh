// Every primitive of ptx.cuh on inputs made from the lane's number. Compiled for a GPU by
// gpu_golden.cu, which records what comes out, and for the simulator by golden_test.cpp, which
// replays the record.
#ifndef SVDIT_TEST_SIM_GOLDEN_CUH
#define SVDIT_TEST_SIM_GOLDEN_CUH

#include "cuda/ptx/ptx.cuh"

namespace svdit::golden {

// How a section's words compare.
enum Kind { kExact, kSum, kExponential, kLogarithm };

struct Section {
  const char *name;
  Kind kind;
};

// In the order the kernel writes them; kWords words a lane each.
inline constexpr Section kSections[] = {{"mma_bf16 small", kSum},
                                        {"mma_bf16 mixed", kSum},
                                        {"mma_fp16 small", kSum},
                                        {"mma_fp16 mixed", kSum},
                                        {"ldmatrix x1", kExact},
                                        {"ldmatrix x2", kExact},
                                        {"ldmatrix x4", kExact},
                                        {"ldmatrix x1 trans", kExact},
                                        {"ldmatrix x2 trans", kExact},
                                        {"ldmatrix x4 trans", kExact},
                                        {"cp.async, part zero", kExact},
                                        {"ld and st.shared", kExact},
                                        {"shfl bfly", kExact},
                                        {"shfl idx", kExact},
                                        {"cvt bf16x2", kExact},
                                        {"cvt f16x2", kExact},
                                        {"cvt f32 of f16", kExact},
                                        {"ex2.approx", kExponential},
                                        {"lg2.approx", kLogarithm},
                                        {"named barriers", kExact},
                                        {"atom.add", kExact}};
inline constexpr int kSectionCount = sizeof kSections / sizeof kSections[0];
inline constexpr int kWords = 8;
inline constexpr int kResultWords = kSectionCount * 32 * kWords;
inline constexpr int kSourceBytes = 32 * 16;
inline constexpr int kThreads = 64;  // the second warp is there for the named barriers
inline constexpr int kSharedBytes = 4096;

inline __device__ std::uint32_t mixed(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

// Floats whose rounding is worth a look: ties, overflows, subnormals, infinities, NaN; then
// ordinary ones.
inline __device__ float float_of(std::uint32_t bits) {
  union {
    std::uint32_t bits;
    float value;
  } as = {bits};
  return as.value;
}
inline __device__ std::uint32_t bits_of(float value) {
  union {
    float value;
    std::uint32_t bits;
  } as = {value};
  return as.bits;
}
inline __device__ float awkward(int i) {
  const std::uint32_t special[] = {0x00000000u, 0x80000000u, 0x3f808000u, 0x3f818000u, 0x3f801000u,
                                   0x3f803000u, 0x477fefffu, 0x477ff000u, 0x7f7fffffu, 0x7f800000u,
                                   0xff800000u, 0x7fc00000u, 0xffc12345u, 0x33800000u, 0x33000000u,
                                   0x33000001u, 0x38800000u, 0x387fffffu, 0x00000001u, 0x007fffffu,
                                   0x00800000u, 0x3f7fffffu, 0x3f80ffffu, 0xc2f00000u};
  const int count = sizeof special / sizeof special[0];
  return i < count ? float_of(special[i]) : float_of(0x3f000000u + (mixed(i) & 0x80ffffffu));
}
inline __device__ std::uint32_t pair(bool bf16, int kind, std::uint32_t seed) {
  const std::uint32_t h = mixed(seed), g = mixed(seed + 77777);
  const float scale = kind == 0 ? 1.0f / 64 : 1.0f / 4;
  const float low = (static_cast<int>(h % 129) - 64) * scale,
              high = (static_cast<int>(g % 129) - 64) * scale;
  return bf16 ? ptx::pack_bf16(low, high) : ptx::pack_fp16(low, high);
}

// One block of kThreads; source holds kSourceBytes, counter is 0, results is for kResultWords.
__global__ void record(const unsigned char *source, std::uint32_t *counter,
                       std::uint32_t *results) {
  const int thread = ptx::thread_index(), lane = thread % 32;
  const std::uint32_t shared = ptx::shared_memory();
  int section = 0;
  const auto put = [&](int word, std::uint32_t value) {
    if (thread < 32) results[(section * 32 + lane) * kWords + word] = value;
  };

  for (int kind = 0; kind < 4; ++kind, ++section) {  // products
    std::uint32_t a[4], b[2];
    float d[4];
    for (int i = 0; i < 4; ++i) a[i] = pair(kind < 2, kind % 2, 1000 * kind + 32 * i + lane);
    for (int i = 0; i < 2; ++i) b[i] = pair(kind < 2, kind % 2, 1000 * kind + 500 + 32 * i + lane);
    for (int i = 0; i < 4; ++i) d[i] = static_cast<float>(lane * 4 + i);
    if (kind < 2) {
      ptx::mma_bf16(d, a, b[0], b[1]);
    } else {
      ptx::mma_fp16(d, a, b[0], b[1]);
    }
    for (int i = 0; i < kWords; ++i) put(i, i < 4 ? bits_of(d[i]) : 0);
  }

  // Matrix loads: 16-byte rows in an order of their own.
  if (thread < 32) {
    ptx::store_shared_16(shared + 16 * (lane * 5 % 32), {mixed(4 * lane), mixed(4 * lane + 1),
                                                         mixed(4 * lane + 2), mixed(4 * lane + 3)});
  }
  ptx::barrier();
  const std::uint32_t row = shared + 16 * (lane * 5 % 32);
  for (int way = 0; way < 6; ++way, ++section) {
    std::uint32_t r1[1], r2[2], r4[4];
    std::uint32_t r[4] = {0, 0, 0, 0};
    if (way == 0) ptx::ldmatrix(r1, row);
    if (way == 1) ptx::ldmatrix(r2, row);
    if (way == 2) ptx::ldmatrix(r4, row);
    if (way == 3) ptx::ldmatrix_transposed(r1, row);
    if (way == 4) ptx::ldmatrix_transposed(r2, row);
    if (way == 5) ptx::ldmatrix_transposed(r4, row);
    const int count = 1 << way % 3;
    for (int i = 0; i < count; ++i) r[i] = count == 1 ? r1[i] : count == 2 ? r2[i & 1] : r4[i];
    for (int i = 0; i < kWords; ++i) put(i, i < 4 ? r[i] : 0);
  }

  if (thread < 32) {  // copies of 0 to 16 bytes
    ptx::copy_async_16(shared + 1024 + 16 * lane, source + 16 * lane, lane % 17);
    ptx::copy_async_commit();
    ptx::copy_async_wait<0>();
    const ptx::Bits128 got = ptx::load_shared_16(shared + 1024 + 16 * lane);
    for (int i = 0; i < kWords; ++i)
      put(i, i == 0 ? got.x : i == 1 ? got.y : i == 2 ? got.z : i == 3 ? got.w : 0);
  }
  ++section;

  if (thread < 32) {
    ptx::store_shared(shared + 2048 + 4 * lane, mixed(lane));
    ptx::warp_sync();
    const ptx::Bits128 got = ptx::load_shared_16(shared + 2048 + 16 * (lane % 8));
    const std::uint32_t next = ptx::load_shared(shared + 2048 + 4 * ((lane + 1) % 32));
    for (int i = 0; i < kWords; ++i) put(i, i == 0 ? got.x : i == 1 ? got.w : i == 2 ? next : 0);
  }
  ++section;

  for (int i = 0; i < kWords; ++i)
    put(i, i < 5 ? bits_of(ptx::shuffle_xor(static_cast<float>(lane), 1 << i)) : 0);
  ++section;
  for (int i = 0; i < kWords; ++i) put(i, ptx::shuffle(lane * 100 + i, (lane * 7 + i) % 32));
  ++section;

  for (int i = 0; i < kWords; ++i)
    put(i, ptx::pack_bf16(awkward(lane * 2 + i), awkward(lane * 2 + i + 1)));
  ++section;
  for (int i = 0; i < kWords; ++i)
    put(i, ptx::pack_fp16(awkward(lane * 2 + i), awkward(lane * 2 + i + 1)));
  ++section;
  for (int i = 0; i < kWords; i += 2) {  // subnormals, infinities and ordinary numbers; no NaN
    float low, high;
    ptx::unpack_fp16(lane < 2    ? 0x83ff0001u + i
                     : lane == 2 ? 0xfc007c00u
                                 : mixed(lane) & 0xbfffbfffu,
                     low, high);
    put(i, bits_of(low));
    put(i + 1, bits_of(high));
  }
  ++section;
  for (int i = 0; i < kWords; ++i) {
    const float x = lane == 0 ? awkward(i + 4) : -0.61f * static_cast<float>(lane * kWords + i);
    put(i, bits_of(ptx::exp2_approx(x)));
  }
  ++section;
  for (int i = 0; i < kWords; ++i) {
    const float x =
        lane == 0 ? float_of(0x7f800000u * (i & 1)) : 0.37f * static_cast<float>(lane * kWords + i);
    put(i, bits_of(ptx::log2_approx(x)));
  }
  ++section;

  if (thread >= 32) {  // the second warp hands over to the first
    ptx::store_shared(shared + 3072 + 4 * lane, mixed(lane + 9));
    ptx::barrier_arrive(3, kThreads);
  } else {
    ptx::barrier_sync(3, kThreads);
    const std::uint32_t got = ptx::load_shared(shared + 3072 + 4 * (31 - lane));
    for (int i = 0; i < kWords; ++i) put(i, i == 0 ? got : 0);
  }
  ++section;

  std::uint32_t before = 0;
  if (thread == 0) {
    before = ptx::atomic_add(counter, 5);
    before = ptx::atomic_add(counter, 7) * 10 + before;
  }
  for (int i = 0; i < kWords; ++i) put(i, i == 0 ? before : 0);
}

}  // namespace svdit::golden

#endif
