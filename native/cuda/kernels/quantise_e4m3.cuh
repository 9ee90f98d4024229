// Rounds the heads of a call to e4m3 (plan/e4m3.h), lined up in each head's order: the pass before
// the attention kernel of e4m3.
#ifndef SVDIT_CUDA_QUANTISE_E4M3_CUH
#define SVDIT_CUDA_QUANTISE_E4M3_CUH

#include "cuda/kernels/shape_e4m3_sm90.cuh"

namespace svdit::cuda {

inline constexpr int kQuantiseThreads = 128;
inline constexpr int kQuantiseSharedBytes = 32;  // two turns of a maximum of each warp

// One unit of one of the call's heads: where its tokens are, and where it goes.
struct UnitOfHead {
  UnitKind kind;
  int64_t index;          // in QuantisedHeads
  const char *rows;       // of token 0
  int32_t token_stride;   // bytes
  Run tokens;             // positions that are there; at most kScaleTokens
  int32_t video;          // where the video segment begins
  const int32_t *stored;  // of the video segment's places; NULL: as stored

  // number counts the queries' units that the call wants, then those of keys, then those of values.
  __device__ __forceinline__ UnitOfHead(const AttentionParams &p, const QuantisedHeads &to,
                                        int32_t batch, int32_t head, int32_t number) {
    const HeadOrder order = p.plan.head_orders[head];
    const int32_t block_units = p.layout.block / kScaleTokens;
    const int32_t queries = p.query_block_count * block_units;
    bool text;
    if (number < queries) {
      kind = UnitKind::kQueries;
      const int32_t unit = p.query_block_begin * block_units + number;
      tokens = p.layout.query_run(unit / block_units);
      tokens.begin += unit % block_units * kScaleTokens;
      text = unit / block_units >= p.layout.query_video_blocks;
      video = p.layout.query_video_begin;
      rows = p.q.row(batch, head, 0);
      token_stride = p.q.token_stride;
      index = to.index(batch, order.slot, kind, unit);
    } else {
      const bool value = number - queries >= to.key_units;
      kind = value ? UnitKind::kValues : UnitKind::kKeys;
      const int32_t unit = number - queries - (value ? to.key_units : 0);
      const int32_t video_units = units_of(p.layout.key_video);
      text = unit >= video_units;
      tokens = text ? Run{p.layout.key_text_begin + (unit - video_units) * kScaleTokens,
                          p.layout.key_text_begin + p.text_valid_of(batch)}
                    : Run{p.layout.key_video_begin + unit * kScaleTokens,
                          p.layout.key_video_begin + p.layout.key_video};
      video = p.layout.key_video_begin;
      const View &view = value ? p.v : p.k;
      rows = view.row(batch, head, 0);
      token_stride = view.token_stride;
      index = to.index(batch, order.slot, kind, unit);
    }
    if (tokens.end > tokens.begin + kScaleTokens) tokens.end = tokens.begin + kScaleTokens;
    stored = text || order.stored < 0 ? nullptr : p.plan.stored + order.stored;
  }

  // 16 bytes of a token; 0 where there is none.
  __device__ __forceinline__ ptx::Bits128 load(int token, int chunk) const {
    const int32_t position = tokens.begin + token;
    if (position >= tokens.end) return {0, 0, 0, 0};
    const int64_t at = stored == nullptr ? position : video + stored[position - video];
    return ptx::load_global_16(rows + at * token_stride + chunk * 16);
  }
};

// The largest of a value of each thread; turn alternates between calls, so that the slots of the
// one before may still be read.
__device__ __forceinline__ float largest_of_block(float value, int turn) {
#pragma unroll
  for (int step = 1; step < 32; step *= 2) value = fmaxf(value, ptx::shuffle_xor(value, step));
  const std::uint32_t slots = ptx::shared_memory() + turn * 16;
  const int thread = ptx::thread_index();
  if (thread % 32 == 0)
    ptx::store_shared(slots + thread / 32 * 4, std::bit_cast<std::uint32_t>(value));
  ptx::barrier();
  const ptx::Bits128 all = ptx::load_shared_16(slots);
  return fmaxf(fmaxf(std::bit_cast<float>(all.x), std::bit_cast<float>(all.y)),
               fmaxf(std::bit_cast<float>(all.z), std::bit_cast<float>(all.w)));
}

// A thread has of kChunkPairs 16-byte chunks the same four tokens: those whose weights a thread of
// the attention kernel holds side by side (positions 4 i .. 4 i + 3 of V's rows). The products then
// take weights as the softmax leaves them, with no exchange between threads.
template <int kHeadDim>
class UnitPart {
  static constexpr int kWarps = kQuantiseThreads / 32;
  static constexpr int kChunkPairs = kHeadDim / 16 / kWarps;  // a warp's

 public:
  __device__ __forceinline__ explicit UnitPart(const UnitOfHead &unit) {
#pragma unroll
    for (int c = 0; c < kChunkPairs; ++c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const ptx::Bits128 bits = unit.load(token(i), chunk(c));
        const std::uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
        for (int w = 0; w < 4; ++w) {
          values_[c][i][2 * w] = std::bit_cast<float>(words[w] << 16);
          values_[c][i][2 * w + 1] = std::bit_cast<float>(words[w] & 0xffff0000u);
        }
      }
    }
  }

  __device__ __forceinline__ float largest() const {
    float largest = 0;
#pragma unroll
    for (const auto &tokens : values_) {
#pragma unroll
      for (const auto &elements : tokens) {
#pragma unroll
        for (const float value : elements) largest = fmaxf(largest, fabsf(value));
      }
    }
    return largest;
  }

  // Of queries and keys: a row a token.
  __device__ __forceinline__ void store_rows(char *to, float factor) const {
#pragma unroll
    for (int c = 0; c < kChunkPairs; ++c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const auto &x = values_[c][i];
        auto *const words = reinterpret_cast<std::uint32_t *>(
            to + swizzled_chunk<kHeadDim>(token(i), chunk(c) / 2) + chunk(c) % 2 * 8);
        words[0] = ptx::pack_e4m3(x[0] * factor, x[1] * factor, x[2] * factor, x[3] * factor);
        words[1] = ptx::pack_e4m3(x[4] * factor, x[5] * factor, x[6] * factor, x[7] * factor);
      }
    }
  }

  // Of values: a row an element, and in it the tokens in the order of the weights.
  __device__ __forceinline__ void store_columns(char *to, float factor) const {
#pragma unroll
    for (int c = 0; c < kChunkPairs; ++c) {
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        const auto &x = values_[c];
        *reinterpret_cast<std::uint32_t *>(
            to + swizzled_chunk<kScaleTokens>(chunk(c) * 8 + e, part() / 4) + part() % 4 * 4) =
            ptx::pack_e4m3(x[0][e] * factor, x[1][e] * factor, x[2][e] * factor, x[3][e] * factor);
      }
    }
  }

 private:
  static __device__ __forceinline__ int part() { return ptx::thread_index() % 16; }
  static __device__ __forceinline__ int token(int i) {
    return part() / 4 * 16 + part() % 4 * 2 + i / 2 * 8 + i % 2;
  }
  // Neighbouring half-warps read neighbouring chunks: 32 bytes of a token.
  static __device__ __forceinline__ int chunk(int c) {
    return 2 * (c * kWarps + ptx::thread_index() / 32) + ptx::thread_index() % 32 / 16;
  }

  float values_[kChunkPairs][4][8];
};

// Any number of blocks.
template <int kHeadDim>
__global__ void __launch_bounds__(kQuantiseThreads)
    quantise_e4m3(const __grid_constant__ AttentionParams p,
                  const __grid_constant__ QuantisedHeads to) {
  const int32_t per_head = p.query_block_count * (p.layout.block / kScaleTokens) + 2 * to.key_units;
  const int64_t all = int64_t{per_head} * p.heads.count * p.batch;
  int turn = 0;
  for (int64_t i = ptx::block_index(); i < all; i += ptx::block_count()) {
    const auto row = static_cast<int32_t>(i / per_head);
    const int32_t head = p.heads.head[row / p.batch], batch = row % p.batch;
    if (p.plan.head_orders[head].slot < 0) continue;  // SKIP
    const UnitOfHead unit(p, to, batch, head, static_cast<int32_t>(i % per_head));
    const UnitPart<kHeadDim> part(unit);
    const int32_t exponent = scale_exponent(largest_of_block(part.largest(), turn));
    turn ^= 1;
    const float factor = power_of_two(-exponent);
    char *const at = to.at(unit.index);
    if (unit.kind == UnitKind::kValues) {
      part.store_columns(at, factor);
    } else {
      const bool negate = unit.kind == UnitKind::kQueries && p.negative_scale;
      part.store_rows(at, negate ? -factor : factor);
    }
    if (ptx::thread_index() == 0) to.exponents[unit.index] = exponent;
  }
}

}  // namespace svdit::cuda

#endif
