// The loader: how rows of Q, K and V reach shared memory.
//
// A row of kHeadDim 16-bit elements is kHeadDim / 8 chunks of 16 bytes. Chunk c of row r lies at
// place c ^ (r % 8), so that the 8 rows of an 8x8 matrix, 16 bytes each, fall on all 32 banks.
#ifndef SVDIT_CUDA_LOADER_CUH
#define SVDIT_CUDA_LOADER_CUH

#include "cuda/kernels/params.h"
#include "cuda/ptx/ptx.cuh"

namespace svdit::cuda {

template <int kHeadDim>
struct Rows {
  static constexpr int kBytes = kHeadDim * 2;
  static constexpr int kChunks = kHeadDim / 8;

  // Address of a chunk; base is a multiple of 128.
  static __device__ __forceinline__ std::uint32_t at(std::uint32_t base, int row, int chunk) {
    return base + row * kBytes + ((chunk ^ (row & 7)) << 4);
  }
  // Address of the chunk `chunks` (even) further in the row of one that is the row's first or
  // second. Only the low three bits of a chunk's number are swizzled, the rest is an offset known
  // when compiling: fewer registers.
  static __device__ __forceinline__ std::uint32_t further(std::uint32_t address, int chunks) {
    return (address ^ (chunks % 8 << 4)) + chunks / 8 * 128;
  }
};

// One thread's share in filling kRows rows: one chunk of every kStep-th row.
template <int kHeadDim, int kThreads, int kRows>
class Loader {
 public:
  using Row = Rows<kHeadDim>;
  static constexpr int kStep = kThreads / Row::kChunks;
  static_assert(kStep % 8 == 0 && kRows % kStep == 0, "a thread's rows must swizzle alike");

  __device__ __forceinline__ Loader(int thread, std::uint32_t shared)
      : row_(thread / Row::kChunks),
        chunk_(thread % Row::kChunks),
        to_(Row::at(shared, row_, chunk_)) {}

  // Where this thread's share begins in a tensor whose first token is at tokens.
  __device__ __forceinline__ const char *share(const char *tokens) const {
    return tokens + chunk_ * 16;
  }

  // Rows 0 .. count - 1 from consecutive tokens, the share of the first of which is at `from`; the
  // rows past count become zero and are not read.
  __device__ __forceinline__ void consecutive(const char *from, int32_t token_stride,
                                              int32_t count) const {
    from += static_cast<int64_t>(row_) * token_stride;
#pragma unroll
    for (int i = 0; i < kRows; i += kStep) {
      ptx::copy_async_16(to_ + i * Row::kBytes, from, row_ + i < count ? 16 : 0);
      from += static_cast<int64_t>(kStep) * token_stride;
    }
  }

  // Rows 0 .. count - 1 from the tokens that token(row) names.
  template <class Token>
  __device__ __forceinline__ void gathered(const char *from, int32_t token_stride, int32_t count,
                                           const Token &token) const {
#pragma unroll
    for (int i = 0; i < kRows; i += kStep) {
      const int row = row_ + i;
      const char *source =
          row < count ? from + static_cast<int64_t>(token(row)) * token_stride : from;
      ptx::copy_async_16(to_ + i * Row::kBytes, source, row < count ? 16 : 0);
    }
  }

 private:
  int row_, chunk_;
  std::uint32_t to_;
};

}  // namespace svdit::cuda

#endif
