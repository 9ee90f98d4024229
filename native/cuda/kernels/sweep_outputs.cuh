// What a sweep's block keeps of its pass, and what it comes to in the end: the outputs at the stops
// and over all keys, each thread's part as its registers hold it, and the weight of every tile of
// video keys.
//
// A sum of squares through the output projection is e G e^T with G = W W^T. Both are taken as sums
// of two bf16 numbers, so that the tensor cores give it to about 2^-16. Nothing is added up in an
// order that depends on the schedule.
#ifndef SVDIT_CUDA_SWEEP_OUTPUTS_CUH
#define SVDIT_CUDA_SWEEP_OUTPUTS_CUH

#include <bit>

#include "cuda/kernels/attention_sm80.cuh"
#include "cuda/kernels/sweep_params.h"

namespace svdit::cuda {

// kShared is where its own part of the block's shared memory begins; K's and V's places are used
// too once the pass is over.
template <class Attention, int kHeadDim, int kBlock, int kShared>
struct SweepOutputs {
  using Row = typename Attention::Row;
  using KeyLoader = typename Attention::KeyLoader;
  using Scores = typename Attention::Scores;
  using Out = typename Attention::Out;

  static constexpr int kThreads = Attention::kThreads;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kTile = Attention::kTile;
  static constexpr int kRowTiles = Attention::kRowTiles;
  static constexpr int kKeyTiles = Attention::kKeyTiles;
  static constexpr int kDimTiles = Attention::kDimTiles;

  static constexpr int kLogSums = kShared;                 // of each row, over all keys
  static constexpr int kPartials = kLogSums + kBlock * 4;  // of each warp
  static constexpr int kPlace = kPartials + kWarps * 4;    // of the tile's keys in the video
  static constexpr int kEnd = kPlace + 4;
  static constexpr int kGramBytes = 2 * kHeadDim * Row::kBytes;  // of a head

  // Four neighbours of a thread's part of an output: two columns of row lane / 4 of a 16-row tile,
  // and of the row 8 further.
  struct alignas(16) Piece {
    float v[4];
  };

  static __device__ __forceinline__ char *scratch(const SweepParams &p) {
    return p.scratch + ptx::block_index_anew() * p.scratch_bytes;
  }
  // This thread's part of the output at a stop; of that over all keys: stop is stop_count.
  static __device__ __forceinline__ Piece *output(const SweepParams &p, int32_t stop) {
    return reinterpret_cast<Piece *>(scratch(p)) +
           static_cast<int64_t>(stop) * (kRowTiles * kDimTiles * kThreads) + ptx::thread_index();
  }
  // Of a tile of video keys, for each row.
  static __device__ __forceinline__ float *tile_sums(const SweepParams &p, int32_t tile) {
    return reinterpret_cast<float *>(scratch(p) + p.tile_sums) +
           static_cast<int64_t>(tile) * kBlock;
  }

  // ---- kept during the pass ---------------------------------------------------------------------

  static __device__ __forceinline__ void keep_output(const SweepParams &p, const Out &out,
                                                     const Softmax<kRowTiles> &softmax,
                                                     int32_t stop) {
    Piece *to = output(p, stop);
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
      const float upper = inverse(softmax.total(2 * i)), lower = inverse(softmax.total(2 * i + 1));
#pragma unroll
      for (int j = 0; j < kDimTiles; ++j, to += kThreads) {
        *to = {{out[i][j][0] * upper, out[i][j][1] * upper, out[i][j][2] * lower,
                out[i][j][3] * lower}};
      }
    }
  }

  // After softmax: what the tile's keys, if they are video, hold of each row's weight so far.
  static __device__ __forceinline__ void keep_weights(const SweepParams &p, const Scores &weights,
                                                      const Softmax<kRowTiles> &softmax,
                                                      std::uint32_t shared) {
    const auto place = static_cast<int32_t>(ptx::load_shared(shared + kPlace));
    if (place < 0 || place >= p.layout.key_video) return;
    const int thread = ptx::thread_index();
    float *to = tile_sums(p, place / kTile) + thread / 32 * Attention::kWarpRows + thread % 32 / 4;
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kKeyTiles; ++j) {
        sum += weights[i / 2][j][i % 2 * 2] + weights[i / 2][j][i % 2 * 2 + 1];
      }
      sum = quad_sum(sum);
      if (thread % 4 == 0) {
        to[i * 8] = softmax.scaled_max(i, p.scale_log2) + ptx::log2_approx(sum);
      }
    }
  }

  // ---- what it came to --------------------------------------------------------------------------

  // What a stop's output differs by from that over all keys; that one itself where stop is
  // stop_count. Rows that do not exist give 0.
  static __device__ __forceinline__ Piece difference(const SweepParams &p, int32_t stop,
                                                     int32_t rows, int i, int j) {
    const int thread = ptx::thread_index();
    const int row = thread / 32 * Attention::kWarpRows + i * 16 + thread % 32 / 4;
    const int at = (i * kDimTiles + j) * kThreads;
    Piece e = output(p, p.rule.stop_count)[at];
    if (stop < p.rule.stop_count) {
      const Piece kept = output(p, stop)[at];
#pragma unroll
      for (int c = 0; c < 4; ++c) e.v[c] = kept.v[c] - e.v[c];
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (row + c / 2 * 8 >= rows) e.v[c] = 0;
    }
    return e;
  }

  // Two floats as bf16, and what rounding took away from them as bf16.
  static __device__ __forceinline__ void split(float first, float second, std::uint32_t &high,
                                               std::uint32_t &low) {
    high = Bf16::pack(first, second);
    low = Bf16::pack(first - std::bit_cast<float>(high << 16),
                     second - std::bit_cast<float>(high & 0xffff0000u));
  }

  // product = e G, with the columns of e and the rows of G that lie in one tile. K's place in
  // shared memory holds the rows' high halves, V's the low ones.
  static __device__ __forceinline__ void multiply_gram(Out &product, const SweepParams &p,
                                                       int32_t stop, int32_t rows, int first_column,
                                                       std::uint32_t shared) {
    const int lane = ptx::thread_index() % 32;
    const std::uint32_t high = Row::at(shared + Attention::kKeys, lane % 16, lane / 16);
    const std::uint32_t low = Row::at(shared + Attention::kValues, lane % 16, lane / 16);
#pragma unroll 1
    for (int k = 0; k < kTile / 16; ++k) {
      std::uint32_t e_high[kRowTiles][4], e_low[kRowTiles][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const Piece e = difference(p, stop, rows, i, first_column / 8 + 2 * k + half);
          split(e.v[0], e.v[1], e_high[i][2 * half], e_low[i][2 * half]);
          split(e.v[2], e.v[3], e_high[i][2 * half + 1], e_low[i][2 * half + 1]);
        }
      }
#pragma unroll
      for (int j = 0; j < kDimTiles; j += 2) {
        std::uint32_t g_high[4], g_low[4];
        ptx::ldmatrix_transposed(g_high, Row::further(high, j) + k * 16 * Row::kBytes);
        ptx::ldmatrix_transposed(g_low, Row::further(low, j) + k * 16 * Row::kBytes);
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
          Bf16::mma(product[i][j], e_high[i], g_high[0], g_high[1]);
          Bf16::mma(product[i][j], e_high[i], g_low[0], g_low[1]);
          Bf16::mma(product[i][j], e_low[i], g_high[0], g_high[1]);
          Bf16::mma(product[i][j + 1], e_high[i], g_high[2], g_high[3]);
          Bf16::mma(product[i][j + 1], e_high[i], g_low[2], g_low[3]);
          Bf16::mma(product[i][j + 1], e_low[i], g_high[2], g_high[3]);
        }
      }
    }
  }

  // This thread's part of sum_of_squares.
  static __device__ __forceinline__ float squares(const SweepParams &p, int32_t stop, int32_t rows,
                                                  const char *gram, std::uint32_t shared) {
    float sum = 0;
    if (gram == nullptr) {
#pragma unroll 1
      for (int f = 0; f < kRowTiles * kDimTiles; ++f) {
        const Piece e = difference(p, stop, rows, f / kDimTiles, f % kDimTiles);
#pragma unroll
        for (int c = 0; c < 4; ++c) sum = fmaf(e.v[c], e.v[c], sum);
      }
      return sum;
    }
    const int thread = ptx::thread_index();
    Out product = {};
#pragma unroll 1
    for (int column = 0; column < kHeadDim; column += kTile) {
      const KeyLoader high(thread, shared + Attention::kKeys);
      const KeyLoader low(thread, shared + Attention::kValues);
      ptx::barrier();  // nobody reads what lay there any more
      high.consecutive(high.share(gram) + column * Row::kBytes, Row::kBytes, kTile);
      low.consecutive(low.share(gram) + kGramBytes / 2 + column * Row::kBytes, Row::kBytes, kTile);
      ptx::copy_async_commit();
      ptx::copy_async_wait<0>();
      ptx::barrier();
      multiply_gram(product, p, stop, rows, column, shared);
    }
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < kDimTiles; ++j) {
        const Piece e = difference(p, stop, rows, i, j);
#pragma unroll
        for (int c = 0; c < 4; ++c) sum = fmaf(product[i][j][c], e.v[c], sum);
      }
    }
    return sum;
  }

  // The sum over rows of |e W|^2, for thread 0; e is a stop's difference, and gram the head's
  // matrix: NULL is that of no projection. Always added up in the same order.
  static __device__ __forceinline__ double sum_of_squares(const SweepParams &p, int32_t stop,
                                                          int32_t rows, const char *gram,
                                                          std::uint32_t shared) {
    const float part = warp_sum(squares(p, stop, rows, gram, shared));
    const int thread = ptx::thread_index();
    ptx::barrier();  // the sum before was read
    if (thread % 32 == 0) {
      ptx::store_shared(shared + kPartials + thread / 32 * 4, std::bit_cast<std::uint32_t>(part));
    }
    ptx::barrier();
    double sum = 0;
    if (thread == 0) {
      for (int warp = 0; warp < kWarps; ++warp) {
        sum += std::bit_cast<float>(ptx::load_shared(shared + kPartials + warp * 4));
      }
    }
    return sum;
  }

  // The output over all keys, [block, D] row-major.
  static __device__ __forceinline__ void write_reference(const SweepParams &p, float *to,
                                                         int32_t rows) {
    const int thread = ptx::thread_index();
    to += (thread / 32 * Attention::kWarpRows + thread % 32 / 4) * kHeadDim + thread % 4 * 2;
#pragma unroll 1
    for (int f = 0; f < kRowTiles * kDimTiles; ++f) {
      const int i = f / kDimTiles, j = f % kDimTiles;
      const Piece o = difference(p, p.rule.stop_count, rows, i, j);
      float *at = to + i * 16 * kHeadDim + j * 8;
      at[0] = o.v[0];
      at[1] = o.v[1];
      at[8 * kHeadDim] = o.v[2];
      at[8 * kHeadDim + 1] = o.v[3];
    }
  }

  // A warp takes every kWarps-th video key block, a lane every 32nd row.
  static __device__ __forceinline__ void write_mass(const SweepParams &p, double *to, int32_t rows,
                                                    std::uint32_t shared) {
    const int lane = ptx::thread_index() % 32, warp = ptx::thread_index() / 32;
    const int32_t blocks = p.layout.key_video_blocks;
#pragma unroll 1
    for (int32_t block = warp; block < blocks; block += kWarps) {
      float sum = 0;
#pragma unroll
      for (int t = 0; t < kBlock / kTile; ++t) {
        const int32_t tile = block * (kBlock / kTile) + t;
        if (tile >= p.video_tiles) break;
        const float *weights = tile_sums(p, tile) + lane;
#pragma unroll
        for (int i = 0; i < kBlock / 32; ++i) {
          const int row = lane + i * 32;
          const auto all = std::bit_cast<float>(ptx::load_shared(shared + kLogSums + row * 4));
          if (row < rows) sum += ptx::exp2_approx(weights[i * 32] - all);
        }
      }
      sum = warp_sum(sum);
      if (lane == 0) to[block] = sum;
    }
  }

  static __device__ __forceinline__ void keep_log_sums(const SweepParams &p,
                                                       const Softmax<kRowTiles> &softmax,
                                                       std::uint32_t shared) {
    const int thread = ptx::thread_index();
    const int first = thread / 32 * Attention::kWarpRows + thread % 32 / 4;
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      const float log_sum =
          softmax.scaled_max(i, p.scale_log2) + ptx::log2_approx(softmax.total(i));
      if (thread % 4 == 0) {
        ptx::store_shared(shared + kLogSums + (first + i * 8) * 4,
                          std::bit_cast<std::uint32_t>(log_sum));
      }
    }
  }

 private:
  static __device__ __forceinline__ float inverse(float sum) { return sum == 0 ? 0 : 1 / sum; }
  static __device__ __forceinline__ float warp_sum(float part) {
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) part += ptx::shuffle_xor(part, mask);
    return part;
  }
};

}  // namespace svdit::cuda

#endif
