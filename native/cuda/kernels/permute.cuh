// Lines up the keys and values of heads whose pattern is cut in another order than the tokens are
// stored in. Text keeps its place. One thread copies 16 bytes; a block's threads go over
// consecutive positions, so writes are contiguous.
#ifndef SVDIT_CUDA_PERMUTE_CUH
#define SVDIT_CUDA_PERMUTE_CUH

#include "cuda/kernels/params.h"
#include "cuda/ptx/ptx.cuh"

namespace svdit::cuda {

inline constexpr int kPermuteThreads = 256;

__global__ void __launch_bounds__(kPermuteThreads)
    permute_keys(const __grid_constant__ PermuteParams p) {
  const int32_t chunks = p.row_bytes / 16;
  const int32_t tokens = p.layout.key_video + p.layout.key_text;
  const int64_t per_row = static_cast<int64_t>(tokens) * chunks;  // of one head and batch row
  const int64_t all = per_row * p.heads.count * p.batch;
  const int64_t step = static_cast<int64_t>(ptx::block_count()) * kPermuteThreads;
  for (int64_t i = static_cast<int64_t>(ptx::block_index()) * kPermuteThreads + ptx::thread_index();
       i < all; i += step) {
    const auto row = static_cast<int32_t>(i / per_row);
    const int32_t head = p.heads.head[row / p.batch], batch = row % p.batch;
    const int64_t within = i - row * per_row;
    const auto position = static_cast<int32_t>(within / chunks);
    const int64_t offset = (within - static_cast<int64_t>(position) * chunks) * 16;
    const HeadOrder order = p.plan.head_orders[head];
    const int32_t place = position - p.layout.key_video_begin;
    const bool video = place >= 0 && place < p.layout.key_video;
    const int32_t token =
        video ? p.layout.key_video_begin + p.plan.stored[order.stored + place] : position;
    const int64_t to = static_cast<int64_t>(position) * p.row_bytes + offset;
    ptx::store_global_16(p.permuted.at(batch, order.slot, false) + to,
                         ptx::load_global_16(p.k.row(batch, head, token) + offset));
    ptx::store_global_16(p.permuted.at(batch, order.slot, true) + to,
                         ptx::load_global_16(p.v.row(batch, head, token) + offset));
  }
}

}  // namespace svdit::cuda

#endif
