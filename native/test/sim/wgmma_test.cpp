// The simulator's warpgroup products against the PTX ISA's layouts, spelled out element by element,
// and against plain matrix products in double precision.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "cases.h"
#include "cuda/ptx/ptx_sm90.cuh"
#include "layouts.h"

namespace {

using namespace svdit;
using cuda::Swizzle;
using test::check;
using test::e4m3;
using test::swizzled;
using test::swizzled_64;

float bf16(std::uint32_t bits) { return std::bit_cast<float>(bits << 16); }
float fp16(std::uint32_t bits) {
  return static_cast<float>(std::bit_cast<_Float16>(static_cast<std::uint16_t>(bits)));
}
// ---- products ---------------------------------------------------------------------------------

enum Type { kBf16, kFp16, kE4m3 };
enum { kSteps = 2 };  // instructions along k, so that the descriptor's way ahead is tried

template <Type kType>
struct Matrices {
  static constexpr int kDepth = kType == kE4m3 ? 32 : 16, kK = kDepth * kSteps;
  static constexpr int kBytes = kType == kE4m3 ? 1 : 2;
  int n;
  std::vector<std::uint16_t> a, b;  // 64 x kK, kK x n, bits

  explicit Matrices(int columns) : n(columns), a(64 * kK), b(kK * columns) {
    std::mt19937 random(5 + columns);
    std::normal_distribution<float> normal;
    const auto draw = [&] {
      const float x = normal(random);
      const std::uint32_t bits = kType == kBf16   ? ptx::pack_bf16(x, 0)
                                 : kType == kFp16 ? ptx::pack_fp16(x, 0)
                                                  : ptx::pack_e4m3(x, 0, 0, 0);
      return static_cast<std::uint16_t>(bits & (kBytes == 1 ? 0xff : 0xffff));
    };
    for (auto &x : a) x = draw();
    for (auto &x : b) x = draw();
  }
  static double value(std::uint16_t bits) {
    return kType == kBf16 ? bf16(bits) : kType == kFp16 ? fp16(bits) : e4m3(bits);
  }
};

constexpr std::uint32_t kA = 0, kB = 8192, kProductBytes = kB + 64 * 1024;

// One warpgroup: A k-major in shared memory or in registers, B k-major or n-major, all stored by
// the tables above. Started from the number of the row and column.
template <Type kType, int kN, bool kRegisters, bool kTransposed, Swizzle kSwizzle = Swizzle::k128>
void product() {
  constexpr std::uint32_t kGroup = kSwizzle == Swizzle::k128 ? 1024 : 512;
  constexpr auto place = kSwizzle == Swizzle::k128 ? swizzled : swizzled_64;
  const Matrices<kType> m(kN);
  constexpr int kDepth = Matrices<kType>::kDepth, kK = Matrices<kType>::kK;
  constexpr int kBytes = Matrices<kType>::kBytes;
  std::vector<unsigned char> image(kProductBytes);
  const auto put = [&](std::uint32_t at, std::uint16_t bits) {
    std::memcpy(image.data() + at, &bits, kBytes);
  };
  for (int row = 0; row < 64; ++row) {
    for (int k = 0; k < kK; ++k) put(kA + place(row, k * kBytes), m.a[row * kK + k]);
  }
  for (int k = 0; k < kK; ++k) {
    for (int n = 0; n < kN; ++n) {
      // Transposed: a row for each k, 64 columns long; the next 64 columns lie a tile further on.
      put(kB + (kTransposed ? n / 64 * (kK * 128) + swizzled(k, n % 64 * 2) : place(n, k * kBytes)),
          m.b[k * kN + n]);
    }
  }
  std::vector<float> got(64 * kN);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    sim::launch({.blocks = 1, .threads = 128, .shared_bytes = kProductBytes, .seed = seed}, [&] {
      const int thread = ptx::thread_index(), warp = thread / 32, lane = thread % 32;
      const std::uint32_t shared = ptx::shared_memory();
      for (std::uint32_t at = 16 * thread; at < kProductBytes; at += 16 * 128) {
        ptx::Bits128 chunk;
        std::memcpy(&chunk, image.data() + at, 16);
        ptx::store_shared_16(shared + at, chunk);
      }
      ptx::fence_async_proxy();
      ptx::barrier();
      float d[kN / 2];
      for (int i = 0; i < kN / 2; ++i) {
        const int row = 16 * warp + lane / 4 + (i & 2 ? 8 : 0);
        const int column = i / 4 * 8 + lane % 4 * 2 + (i & 1);
        d[i] = static_cast<float>(row - column);
      }
      std::uint32_t a[kSteps][4] = {};
      for (int step = 0; step < kSteps; ++step) {
        for (int r = 0; r < 4; ++r) {
          for (int e = 0; e < 4 / kBytes; ++e) {
            const int row = 16 * warp + lane / 4 + (r & 1 ? 8 : 0);
            const int k = step * kDepth + (r & 2 ? kDepth / 2 : 0) + lane % 4 * (4 / kBytes) + e;
            a[step][r] |= static_cast<std::uint32_t>(m.a[row * kK + k]) << (8 * kBytes * e);
          }
        }
      }
      const std::uint64_t a_begin = cuda::k_major_descriptor(shared + kA, kSwizzle, kGroup);
      const std::uint64_t b_begin = kTransposed
                                        ? cuda::n_major_descriptor(shared + kB, kK * 128)
                                        : cuda::k_major_descriptor(shared + kB, kSwizzle, kGroup);
      ptx::wgmma_fence();
      for (int step = 0; step < kSteps; ++step) {
        const std::uint64_t a_there = cuda::descriptor_ahead(a_begin, 32 * step);
        const std::uint64_t b_there =
            cuda::descriptor_ahead(b_begin, kTransposed ? 2048 * step : 32 * step);
        if constexpr (kType == kE4m3) {
          if constexpr (kRegisters)
            ptx::wgmma_e4m3(d, a[step], b_there, true);
          else
            ptx::wgmma_e4m3(d, a_there, b_there, true);
        } else if constexpr (kType == kBf16) {
          if constexpr (kRegisters)
            ptx::wgmma_bf16<kTransposed>(d, a[step], b_there, true);
          else
            ptx::wgmma_bf16<kTransposed>(d, a_there, b_there, true);
        } else {
          if constexpr (kRegisters)
            ptx::wgmma_fp16<kTransposed>(d, a[step], b_there, true);
          else
            ptx::wgmma_fp16<kTransposed>(d, a_there, b_there, true);
        }
      }
      ptx::wgmma_commit();
      for (float x : d) check(std::isnan(x), "an accumulator can be read before the wait");
      ptx::wgmma_wait<0>();
      for (int i = 0; i < kN / 2; ++i) {
        const int row = 16 * warp + lane / 4 + (i & 2 ? 8 : 0);
        got[row * kN + i / 4 * 8 + lane % 4 * 2 + (i & 1)] = d[i];
      }
    });
    for (int row = 0; row < 64; ++row) {
      for (int n = 0; n < kN; ++n) {
        double want = row - n;
        for (int k = 0; k < kK; ++k) {
          want += m.value(m.a[row * kK + k]) * m.value(m.b[k * kN + n]);
        }
        check(std::fabs(got[row * kN + n] - want) < 1e-4, "d[%d][%d] is %g, expected %g", row, n,
              got[row * kN + n], want);
      }
    }
  }
}

// Rows of 64 bytes, and a product that does not add.
void product_of_short_rows() {
  std::vector<float> got(64 * 16);
  sim::launch({.blocks = 1, .threads = 128, .shared_bytes = 8192}, [&] {
    const int thread = ptx::thread_index();
    const std::uint32_t shared = ptx::shared_memory();
    // A(row, k) = row + 1 where k = 3, else 0; B(k, n) = n where k = 3, else 5.
    for (int i = thread; i < 8192 / 4; i += 128) ptx::store_shared(shared + 4 * i, 0);
    ptx::barrier();
    const auto at = [](int row, int k) {
      return row * 64 + ((k * 2 / 16) ^ (row / 2 % 4)) * 16 + k * 2 % 16;
    };
    if (thread < 64) {
      ptx::store_shared(shared + at(thread, 2), ptx::pack_bf16(0, static_cast<float>(thread + 1)));
    } else if (thread < 80) {
      const int n = thread - 64;
      for (int k = 0; k < 16; k += 2) {
        const float high = k == 2 ? static_cast<float>(n) : 5;
        ptx::store_shared(shared + 4096 + at(n, k), ptx::pack_bf16(5, high));
      }
    }
    ptx::fence_async_proxy();
    ptx::barrier();
    float d[8];
    for (float &x : d) x = 1000;
    ptx::wgmma_fence();
    ptx::wgmma_bf16<false>(d, cuda::k_major_descriptor(shared, Swizzle::k64, 512),
                           cuda::k_major_descriptor(shared + 4096, Swizzle::k64, 512), false);
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    for (int i = 0; i < 8; ++i) {
      const int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
      got[row * 16 + i / 4 * 8 + thread % 4 * 2 + i % 2] = d[i];
    }
  });
  for (int row = 0; row < 64; ++row) {
    for (int n = 0; n < 16; ++n) {
      check(got[row * 16 + n] == (row + 1) * n, "d[%d][%d] is %g", row, n, got[row * 16 + n]);
    }
  }
}

// Two groups under way: the older one's results are there after wgmma_wait<1>, the newer one's not.
void groups_follow_each_other() {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    sim::launch({.blocks = 2, .threads = 256, .shared_bytes = 16384, .seed = seed}, [] {
      const int thread = ptx::thread_index();
      const std::uint32_t shared = ptx::shared_memory();
      const std::uint32_t ones = ptx::pack_fp16(1, 1);
      for (int i = thread; i < 16384 / 4; i += 256) ptx::store_shared(shared + 4 * i, ones);
      ptx::fence_async_proxy();
      ptx::barrier();
      float first[8] = {}, second[8] = {};
      const std::uint64_t a = cuda::k_major_descriptor(shared);
      const std::uint64_t b = cuda::k_major_descriptor(shared + 8192);
      ptx::wgmma_fence();
      ptx::wgmma_fp16<false>(first, a, b, false);
      ptx::wgmma_fp16<false>(first, a, b, true);
      ptx::wgmma_commit();
      ptx::wgmma_fp16<false>(second, a, b, true);
      ptx::wgmma_commit();
      ptx::wgmma_wait<1>();
      for (int i = 0; i < 8; ++i) {
        check(first[i] == 32 && std::isnan(second[i]), "%g and %g", first[i], second[i]);
      }
      ptx::wgmma_fence();
      ptx::wgmma_fp16<false>(first, a, b, true);
      ptx::wgmma_commit();
      ptx::wgmma_wait<0>();
      for (int i = 0; i < 8; ++i) check(first[i] == 48 && second[i] == 16, "the second wait");
    });
  }
}

}  // namespace

int main() {
  test::Cases cases;
  cases.run("wgmma m64n16k16 bf16", product<kBf16, 16, false, false>);
  cases.run("wgmma m64n128k16 bf16", product<kBf16, 128, false, false>);
  cases.run("wgmma m64n176k16 bf16", product<kBf16, 176, false, false>);
  cases.run("wgmma m64n64k16 bf16, B transposed", product<kBf16, 64, false, true>);
  cases.run("wgmma m64n128k16 fp16, B transposed", product<kFp16, 128, false, true>);
  cases.run("wgmma m64n192k16 bf16, A registers, B transposed", product<kBf16, 192, true, true>);
  cases.run("wgmma m64n128k16 fp16, A registers, B transposed", product<kFp16, 128, true, true>);
  cases.run("wgmma m64n96k16 fp16, A registers", product<kFp16, 96, true, false>);
  cases.run("wgmma m64n128k32 e4m3", product<kE4m3, 128, false, false>);
  cases.run("wgmma m64n64k32 e4m3, A registers", product<kE4m3, 64, true, false>);
  cases.run("wgmma m64n128k32 e4m3, 64-byte swizzle",
            product<kE4m3, 128, false, false, Swizzle::k64>);
  cases.run("wgmma m64n64k32 e4m3, A registers, 64-byte swizzle",
            product<kE4m3, 64, true, false, Swizzle::k64>);
  cases.run("wgmma of rows of 64 bytes", product_of_short_rows);
  cases.run("groups of products follow each other", groups_follow_each_other);
  return cases.finish();
}
