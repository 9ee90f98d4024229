// Attention for compute capability 8.0 and later (mma.sync, ldmatrix, cp.async), in the manner of
// FlashAttention-2: a block of 128 threads takes a query block of one head, keeps its output in
// registers and goes once over the tiles of keys it sees. One kernel serves every mode: what a mode
// is, only the run list knows.
//
// The launch is persistent. Blocks draw items (head, batch row, query block) from a counter,
// costliest heads first, a head's query blocks one after the other, so that its K and V stay in the
// L2 cache.
//
// Shared memory: Q (later the output on its way out), one tile of K, one of V, the run list. While
// a tile's scores are computed its V arrives; during softmax and the product with V, the next
// tile's K does.
#ifndef SVDIT_CUDA_ATTENTION_SM80_CUH
#define SVDIT_CUDA_ATTENTION_SM80_CUH

#include <cmath>

#include "cuda/kernels/loader.cuh"
#include "cuda/kernels/params.h"
#include "cuda/kernels/runs.cuh"
#include "cuda/kernels/softmax.cuh"
#include "cuda/ptx/ptx.cuh"

namespace svdit::cuda {

struct Bf16 {
  static __device__ __forceinline__ void mma(float (&d)[4], const std::uint32_t (&a)[4],
                                             std::uint32_t b0, std::uint32_t b1) {
    ptx::mma_bf16(d, a, b0, b1);
  }
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) {
    return ptx::pack_bf16(low, high);
  }
};

struct Fp16 {
  static __device__ __forceinline__ void mma(float (&d)[4], const std::uint32_t (&a)[4],
                                             std::uint32_t b0, std::uint32_t b1) {
    ptx::mma_fp16(d, a, b0, b1);
  }
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) {
    return ptx::pack_fp16(low, high);
  }
};

template <class Element, int kHeadDim, int kBlock>
struct AttentionSm80 {
  static constexpr int kThreads = 128;
  // That many must fit a multiprocessor's registers.
  static constexpr int kBlocksPerProcessor = kBlock == 128 ? 2 : kHeadDim == 128 ? 3 : 4;
  static constexpr int kTile = 64;  // keys
  static constexpr int kWarpRows = kBlock / 4;
  static constexpr int kRowTiles = kWarpRows / 16;
  static constexpr int kKeyTiles = kTile / 8;
  static constexpr int kDimTiles = kHeadDim / 8;

  using Row = Rows<kHeadDim>;
  using QueryLoader = Loader<kHeadDim, kThreads, kBlock>;
  using KeyLoader = Loader<kHeadDim, kThreads, kTile>;
  using Scores = float[kRowTiles][kKeyTiles][4];
  using Out = float[kRowTiles][kDimTiles][4];

  static constexpr int kKeys = kBlock * Row::kBytes;
  static constexpr int kValues = kKeys + kTile * Row::kBytes;
  static constexpr int kKeySource = kValues + kTile * Row::kBytes;
  static constexpr int kValueSource = kKeySource + 16;
  static constexpr int kItem = kValueSource + 16;
  static constexpr int kRuns = kItem + 8;
  static constexpr int kSharedBytes = kRuns + RunList::kBytes;

  // One query block of one head and batch row.
  struct Item {
    int32_t head, batch, query_block;
    Run rows;               // positions of its queries
    int32_t video;          // where the video segment begins
    const int32_t *stored;  // of the video segment's places; NULL: as stored

    // Where in the caller's tensors the query of a row is.
    __device__ __forceinline__ int32_t token(int row) const {
      const int32_t position = rows.begin + row;
      return stored == nullptr ? position : video + stored[position - video];
    }
  };

  // The item whose index lies in shared memory. Asked again where it is needed: registers are short
  // in the main loop.
  static __device__ __forceinline__ Item item_of(const AttentionParams &p, std::uint32_t shared) {
    const auto index = static_cast<int32_t>(ptx::load_shared(shared + kItem));
    Item item;
    const int32_t per_head = p.query_block_count * p.batch;
    item.head = p.heads.head[index / per_head];
    item.batch = index % per_head / p.query_block_count;
    // Last to first: the text blocks, which see everything, lie at the end and are the longest.
    item.query_block = p.query_block_begin + p.query_block_count - 1 - index % p.query_block_count;
    item.rows = p.layout.query_run(item.query_block);
    item.video = p.layout.query_video_begin;
    const int32_t order = p.plan.head_orders[item.head].stored;
    const bool text = item.query_block >= p.layout.query_video_blocks;
    item.stored = text || order < 0 ? nullptr : p.plan.stored + order;
    return item;
  }

  // Where an item's keys (values) lie is kept in shared memory too, as address and stride.
  static __device__ __forceinline__ void put_source(std::uint32_t at, const View &view,
                                                    const PermutedKeys &permuted, const Item &item,
                                                    int32_t slot, bool value) {
    const bool in_place = slot < 0;
    const auto data = reinterpret_cast<std::uint64_t>(
        in_place ? view.row(item.batch, item.head, 0) : permuted.at(item.batch, slot, value));
    const int32_t stride = in_place ? view.token_stride : Row::kBytes;
    ptx::store_shared_16(at,
                         {static_cast<std::uint32_t>(data), static_cast<std::uint32_t>(data >> 32),
                          static_cast<std::uint32_t>(stride), 0});
  }
  static __device__ __forceinline__ void load_rows(const KeyLoader &loader, std::uint32_t source,
                                                   const Tile &tile) {
    const ptx::Bits128 s = ptx::load_shared_16(source);
    const auto *data = reinterpret_cast<const char *>(s.x | static_cast<std::uint64_t>(s.y) << 32);
    const auto stride = static_cast<int32_t>(s.z);
    loader.consecutive(loader.share(data) + static_cast<int64_t>(tile.begin) * stride, stride,
                       tile.count);
  }

  // scores = Q K^T for this warp's rows and the tile's keys.
  static __device__ __forceinline__ void multiply_keys(Scores &scores, int thread,
                                                       std::uint32_t shared) {
    const int lane = thread % 32, warp = thread / 32;
    const std::uint32_t q = Row::at(shared, warp * kWarpRows + lane % 16, lane / 16);
    const std::uint32_t k = Row::at(shared + kKeys, lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < kKeyTiles; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) scores[i][j][e] = 0;
      }
    }
#pragma unroll
    for (int d = 0; d < kHeadDim / 16; ++d) {
      std::uint32_t a[kRowTiles][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i)
        ptx::ldmatrix(a[i], Row::further(q, 2 * d) + i * 16 * Row::kBytes);
#pragma unroll
      for (int j = 0; j < kKeyTiles; j += 2) {
        std::uint32_t b[4];
        ptx::ldmatrix(b, Row::further(k, 2 * d) + j * 8 * Row::kBytes);
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
          Element::mma(scores[i][j], a[i], b[0], b[1]);
          Element::mma(scores[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  // out += P V.
  static __device__ __forceinline__ void multiply_values(Out &out, const Scores &p, int thread,
                                                         std::uint32_t shared) {
    const int lane = thread % 32;
    const std::uint32_t v = Row::at(shared + kValues, lane % 16, lane / 16);
#pragma unroll
    for (int k = 0; k < kTile / 16; ++k) {
      std::uint32_t a[kRowTiles][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
        a[i][0] = Element::pack(p[i][2 * k][0], p[i][2 * k][1]);
        a[i][1] = Element::pack(p[i][2 * k][2], p[i][2 * k][3]);
        a[i][2] = Element::pack(p[i][2 * k + 1][0], p[i][2 * k + 1][1]);
        a[i][3] = Element::pack(p[i][2 * k + 1][2], p[i][2 * k + 1][3]);
      }
#pragma unroll
      for (int j = 0; j < kDimTiles; j += 2) {
        std::uint32_t b[4];
        ptx::ldmatrix_transposed(b, Row::further(v, j) + k * 16 * Row::kBytes);
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
          Element::mma(out[i][j], a[i], b[0], b[1]);
          Element::mma(out[i][j + 1], a[i], b[2], b[3]);
        }
      }
    }
  }

  static __device__ __forceinline__ void negate(Scores &scores) {
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < kKeyTiles; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) scores[i][j][e] = -scores[i][j][e];
      }
    }
  }

  // Keys past the end of a run's last tile are no keys.
  static __device__ __forceinline__ void mask_tail(Scores &scores, int thread, int32_t count) {
    const int column = thread % 4 * 2;
#pragma unroll
    for (int j = 0; j < kKeyTiles; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        if (j * 8 + column + e % 2 >= count) {
#pragma unroll
          for (int i = 0; i < kRowTiles; ++i) scores[i][j][e] = kMinusInfinity;
        }
      }
    }
  }

  // Writes the rows of the item that exist, through shared memory so that whole rows leave in
  // 16-byte pieces. A warp handles its own rows alone.
  static __device__ __forceinline__ void store(const AttentionParams &p, const Item &item, Out &out,
                                               Softmax<kRowTiles> &softmax, std::uint32_t shared) {
    const int lane = ptx::thread_index() % 32, first_row = ptx::thread_index() / 32 * kWarpRows;
    const int32_t rows = item.rows.end - item.rows.begin;
    softmax.finish();
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      const int row = first_row + i * 8 + lane / 4;
      const float inverse = softmax.inverse(i);
#pragma unroll
      for (int j = 0; j < kDimTiles; ++j) {
        const float *pair = &out[i / 2][j][i % 2 * 2];
        ptx::store_shared(Row::at(shared, row, j) + lane % 4 * 4,
                          Element::pack(pair[0] * inverse, pair[1] * inverse));
      }
      if (p.lse != nullptr && lane % 4 == 0 && row < rows) {
        const int64_t head = static_cast<int64_t>(item.batch) * p.plan_heads + item.head;
        p.lse[head * p.query_tokens + item.token(row)] = softmax.log_sum(i, p.scale_log2);
      }
    }
    ptx::warp_sync();
    for (int i = lane; i < kWarpRows * Row::kChunks; i += 32) {
      const int row = first_row + i / Row::kChunks, chunk = i % Row::kChunks;
      if (row < rows) {
        ptx::store_global_16(p.out.row(item.batch, item.head, item.token(row)) + chunk * 16,
                             ptx::load_shared_16(Row::at(shared, row, chunk)));
      }
    }
  }

  static __device__ __forceinline__ void compute(const AttentionParams &p, std::uint32_t shared) {
    const Item item = item_of(p, shared);
    const int thread = ptx::thread_index();
    const QueryLoader query_loader(thread, shared);
    const KeyLoader key_loader(thread, shared + kKeys);
    const KeyLoader value_loader(thread, shared + kValues);
    query_loader.gathered(query_loader.share(p.q.row(item.batch, item.head, 0)), p.q.token_stride,
                          item.rows.end - item.rows.begin,
                          [&](int row) { return item.token(row); });

    if (thread == 0) {
      const int32_t slot = p.plan.head_orders[item.head].slot;
      put_source(shared + kKeySource, p.k, p.permuted, item, slot, false);
      put_source(shared + kValueSource, p.v, p.permuted, item, slot, true);
    }

    Softmax<kRowTiles> softmax;
    Out out = {};
    for (int32_t listed = 0;; listed += RunList::kRuns) {
      const Item own = item_of(p, shared);
      RunList runs(shared + kRuns, listed, p, own.head, own.query_block,
                   p.text_valid_of(own.batch));
      if (!runs.ended()) load_rows(key_loader, shared + kKeySource, runs.tile(kTile));
      ptx::copy_async_commit();
      while (!runs.ended()) {
        ptx::copy_async_wait<0>();
        ptx::barrier();  // K is here, and nobody reads the V of the tile before any more
        load_rows(value_loader, shared + kValueSource, runs.tile(kTile));
        ptx::copy_async_commit();

        Scores scores;
        multiply_keys(scores, thread, shared);
        if (p.negative_scale) negate(scores);
        if (runs.tile(kTile).count < kTile) mask_tail(scores, thread, runs.tile(kTile).count);

        ptx::copy_async_wait<0>();
        ptx::barrier();  // V is here, and nobody reads K any more
        runs.advance(kTile);
        if (!runs.ended()) load_rows(key_loader, shared + kKeySource, runs.tile(kTile));
        ptx::copy_async_commit();

        softmax.update(scores, out, p.scale_log2);
        multiply_values(out, scores, thread, shared);
      }
      if (!runs.more()) break;
    }
    ptx::copy_async_wait<0>();  // Q, where no key was seen
    ptx::barrier();
    store(p, item_of(p, shared), out, softmax, shared);
  }
};

template <class Element, int kHeadDim, int kBlock>
__global__ void __launch_bounds__(128,
                                  AttentionSm80<Element, kHeadDim, kBlock>::kBlocksPerProcessor)
    attention_sm80(const __grid_constant__ AttentionParams p) {
  using Attention = AttentionSm80<Element, kHeadDim, kBlock>;
  const std::uint32_t shared = ptx::shared_memory();
  for (;;) {
    if (ptx::thread_index() == 0)
      ptx::store_shared(shared + Attention::kItem, ptx::atomic_add(p.next_item, 1));
    ptx::barrier();
    const auto index = static_cast<int32_t>(ptx::load_shared(shared + Attention::kItem));
    if (index >= p.items(kBlock)) break;
    Attention::compute(p, shared);
    ptx::barrier();  // shared memory is free for the next item
  }
}

}  // namespace svdit::cuda

#endif
