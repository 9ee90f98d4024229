// How many bits a Hopper GPU's tensor cores keep of a sum: the PTX ISA says "at least single
// precision" of wgmma's fp32 accumulators, which reports about e4m3 products deny (DeepSeek-V3,
// arXiv 2412.19437, section 3.3.2: about 14 bits). One product is made of a large term, 2^10, and
// small ones 2^-n of it; what is left of the small ones is told per n. Compiled for a GPU by
// native/test/device/golden_sm90.cu and for the simulator, whose sums are fp32's, by
// golden_sm90_test.cpp.
#ifndef SVDIT_TEST_SIM_ACCUMULATION_CUH
#define SVDIT_TEST_SIM_ACCUMULATION_CUH

#include <cmath>
#include <cstdio>
#include <string>

#include "cuda/ptx/ptx_sm90.cuh"

namespace svdit::accumulation {

enum Type { kE4m3, kBf16 };
enum Sum {
  kCarried,  // the large term is in the accumulator before
  kWithin,   // and the small one are products of one instruction
  kMany,     // in the accumulator; half of the instruction's products are small ones
  kMinus,    // in the accumulator; the small one is negative
  kByZero    // is not there; beside the small one the instruction multiplies 448 with 0
};
inline constexpr int kTypes = 2, kSums = 5;
inline constexpr int kColumns = 32;  // n; the last three of them hold nothing
inline constexpr int kPowers = 29;
inline constexpr int kThreads = 128, kSharedBytes = 16 * 1024;
inline constexpr int kResults = kTypes * kSums * kColumns;
inline constexpr float kLarge = 1024;

__device__ inline float power_of_two(int exponent) {
  float x = 1;
  for (; exponent > 0; --exponent) x *= 2;
  for (; exponent < 0; ++exponent) x /= 2;
  return x;
}

// e4m3's powers of two, 2^-9..2^8, do not reach from the large term to the smallest: the product at
// an even place of k is 4 times B's, that at an odd one 2^-9 times it, and one of them is not 0.
__device__ inline float element_of_a(Sum sum, int k) {
  if (sum == kByZero && k == 2) return 448;
  const bool used = k < 2 || sum == kMany || (sum == kWithin && k == 2);
  const float size = k % 2 == 0 ? 4.0f : power_of_two(-9);
  return !used ? 0.0f : sum == kMinus ? -size : size;
}
__device__ inline float element_of_b(Sum sum, int n, int k) {
  if (sum == kWithin && k == 2) return kLarge / 4;
  if (n >= kPowers || (k >= 2 && sum != kMany)) return 0;
  if (n <= 17) return k % 2 == 0 ? power_of_two(8 - n) : 0.0f;
  return k % 2 == 0 ? 0.0f : power_of_two(19 - n);
}

template <Type kType>
__device__ inline void sum_of(Sum sum, std::uint32_t shared, float *results) {
  const int thread = ptx::thread_index();
  constexpr int kPerWord = kType == kE4m3 ? 4 : 2;
  ptx::barrier();  // nobody reads what is there any more
  if (thread < 64 + kColumns) {
    const bool in_a = thread < 64;
    const int row = in_a ? thread : thread - 64;
    for (int word = 0; word < 8; ++word) {  // the 32 bytes of a row that one instruction takes
      float x[4] = {};
      for (int i = 0; i < kPerWord; ++i) {
        const int k = word * kPerWord + i;
        x[i] = in_a ? element_of_a(sum, k) : element_of_b(sum, row, k);
      }
      const std::uint32_t at = (in_a ? 0 : 8192) + row * 128 + ((word / 4) ^ (row % 8)) * 16;
      ptx::store_shared(shared + at + word % 4 * 4, kType == kE4m3
                                                        ? ptx::pack_e4m3(x[0], x[1], x[2], x[3])
                                                        : ptx::pack_bf16(x[0], x[1]));
    }
  }
  ptx::fence_async_proxy();
  ptx::barrier();
  float d[kColumns / 2];
  for (float &x : d) x = sum == kWithin || sum == kByZero ? 0.0f : kLarge;
  const std::uint64_t a = cuda::k_major_descriptor(shared);
  const std::uint64_t b = cuda::k_major_descriptor(shared + 8192);
  ptx::wgmma_hold(d);
  ptx::wgmma_fence();
  if constexpr (kType == kE4m3) ptx::wgmma_e4m3(d, a, b, true);
  if constexpr (kType == kBf16) ptx::wgmma_bf16<false>(d, a, b, true);
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  ptx::wgmma_hold(d);
  for (int i = 0; i < kColumns / 2; ++i) {
    if (thread < 4 && i / 2 % 2 == 0) {  // the first row
      results[(kType * kSums + sum) * kColumns + i / 4 * 8 + thread * 2 + i % 2] = d[i];
    }
  }
}

// One block of kThreads with kSharedBytes; results [type][sum][column].
__global__ void __launch_bounds__(kThreads, 1) measure(float *results) {
  const std::uint32_t shared = ptx::shared_memory();
  for (int sum = 0; sum < kSums; ++sum) {
    sum_of<kE4m3>(static_cast<Sum>(sum), shared, results);
    sum_of<kBf16>(static_cast<Sum>(sum), shared, results);
  }
}

// ---- on the host ------------------------------------------------------------------------------

struct Kept {
  int exact;  // the small terms are kept wholly up to this n
  int gone;   // and not at all from this one
};

inline Kept kept(const float *results, Type type, Sum sum) {
  const float *own = results + (type * kSums + sum) * kColumns;
  const int terms = sum != kMany ? 1 : type == kE4m3 ? 16 : 8;
  const double large = sum == kByZero ? 0 : kLarge;
  Kept kept{-1, kPowers};
  for (int n = 0; n < kPowers; ++n) {
    const double given = std::ldexp(static_cast<double>(kLarge), -n) * terms;
    const double left = std::fabs(static_cast<double>(own[n]) - large);
    if (left == given && kept.exact == n - 1) kept.exact = n;
    if (left != 0) kept.gone = n + 1;
  }
  return kept;
}

inline std::string line_of(const float *results, Type type, Sum sum) {
  static constexpr const char *kText[kSums] = {
      "1 carried + 2^-n", "1 + 2^-n in one instruction",
      "1 carried + 2^-n by half of the instruction's products", "1 carried - 2^-n",
      "2^-n beside 448 x 0"};
  const Kept found = kept(results, type, sum);
  char text[160];
  std::snprintf(text, sizeof text, "wgmma %s, %s: exact up to n = %d, nothing left from n = %d",
                type == kE4m3 ? "e4m3" : "bf16", kText[sum], found.exact, found.gone);
  std::string line = text;
  if (found.exact < 0) {  // says what came instead
    const float *own = results + (type * kSums + sum) * kColumns;
    for (int n = 0; n < 6; ++n) line += (n == 0 ? "; gives " : ", ") + std::to_string(own[n]);
  }
  return line;
}

}  // namespace svdit::accumulation

#endif
