// The cursor's device half: which keys a query block sees, cut into tiles.
//
// One thread walks the plan's RunCursor and lists the runs in shared memory, so that the main loop
// holds three integers instead of a cursor. A query block that sees more runs than a list takes has
// several lists.
#ifndef SVDIT_CUDA_RUNS_CUH
#define SVDIT_CUDA_RUNS_CUH

#include "cuda/kernels/params.h"
#include "cuda/ptx/ptx.cuh"

namespace svdit::cuda {

// Consecutive key positions that one pass of the main loop takes.
struct Tile {
  int32_t begin, count;
};

class RunList {
 public:
  static constexpr int kRuns = 128;
  static constexpr int kBytes = 8 * (kRuns + 1);  // the runs, and one that marks their end

  // Lists the runs first .. first + kRuns - 1 of a query block. All threads call it together;
  // shared is kBytes of the block's shared memory, and head, query_block and text_valid are looked
  // at by the thread that lists.
  __device__ __forceinline__ RunList(std::uint32_t shared, int32_t first, const AttentionParams &p,
                                     int32_t head, int32_t query_block, int32_t text_valid)
      : next_(shared) {
    ptx::barrier();  // all threads have read the old list
    if (ptx::thread_index() == 0) {
      RunCursor cursor(p.layout, p.plan.heads[head], p.plan.patterns, query_block, text_valid);
      Run run;
      bool more = true;
      for (int32_t i = 0; more && i < first; ++i) more = cursor.next(&run);
      std::uint32_t at = shared;
      for (; more && at < shared + 8 * kRuns; at += 8) {
        more = cursor.next(&run);
        if (!more) break;
        put(at, run);
      }
      put(at, {more ? kMore : kEnd, 0});
    }
    ptx::barrier();
    next_run();
  }

  // The tile the list stands at, of at most `most` keys.
  __device__ __forceinline__ Tile tile(int32_t most) const {
    const int32_t left = end_ - begin_;
    return {begin_, left < most ? left : most};
  }

  // On to the tile after it.
  __device__ __forceinline__ void advance(int32_t most) {
    begin_ += most;
    if (begin_ >= end_) next_run();
  }

  __device__ __forceinline__ bool ended() const { return begin_ < 0; }

  // At the end of the list: whether there are runs past it.
  __device__ __forceinline__ bool more() const { return begin_ == kMore; }

 private:
  static constexpr int32_t kEnd = -1, kMore = -2;

  static __device__ __forceinline__ void put(std::uint32_t at, const Run &run) {
    ptx::store_shared(at, run.begin);
    ptx::store_shared(at + 4, run.end);
  }

  __device__ __forceinline__ void next_run() {
    begin_ = static_cast<int32_t>(ptx::load_shared(next_));
    end_ = static_cast<int32_t>(ptx::load_shared(next_ + 4));
    next_ += 8;
  }

  std::uint32_t next_;
  int32_t begin_, end_;
};

}  // namespace svdit::cuda

#endif
