// What a sweep's block goes over, as RunList is for attention: one thread walks the SweepCursor and
// lists keys and stops in shared memory. A sweep sees every key, so there are several lists, and
// where the next one goes on lies in shared memory too,
// right before the list: its index is no mark.
#ifndef SVDIT_CUDA_SWEEP_LIST_CUH
#define SVDIT_CUDA_SWEEP_LIST_CUH

#include "cuda/kernels/runs.cuh"
#include "cuda/kernels/sweep_params.h"
#include "cuda/ptx/ptx.cuh"

namespace svdit::cuda {

class SweepList {
 public:
  static constexpr int kEntries = 128;
  static constexpr int kBytes = 8 * (kEntries + 2);  // the place, the entries, and their end

  // To be called by thread 0 before the first list.
  static __device__ __forceinline__ void begin(std::uint32_t shared) {
    ptx::store_shared(shared, 0);
    ptx::store_shared(shared + 4, 0);
  }

  // Lists what comes next. All threads call it together; shared is kBytes of the block's shared
  // memory, and the rest is looked at by the thread that lists.
  __device__ __forceinline__ SweepList(std::uint32_t shared, const SweepParams &p, int32_t head,
                                       int32_t query_block, int32_t text_valid)
      : next_(shared + 8) {
    ptx::barrier();  // all threads have read the old list
    if (ptx::thread_index() == 0) {
      const SweepPlace from{static_cast<int32_t>(ptx::load_shared(shared)),
                            static_cast<int32_t>(ptx::load_shared(shared + 4))};
      SweepCursor cursor(p.layout, p.rule, head, query_block, text_valid, from);
      int32_t end = kMore;
      std::uint32_t at = next_;
      for (; at < next_ + 8 * kEntries; at += 8) {
        Run run;
        const SweepCursor::Kind kind = cursor.next(&run);
        if (kind == SweepCursor::kEnd) {
          end = kEnd;
          break;
        }
        put(at, kind == SweepCursor::kStop ? Run{kStop, cursor.place().stop - 1} : run);
      }
      put(at, {end, 0});
      ptx::store_shared(shared, cursor.place().index);
      ptx::store_shared(shared + 4, cursor.place().stop);
    }
    ptx::barrier();
    next_entry();
  }

  // The tile the list stands at, of at most `most` keys.
  __device__ __forceinline__ Tile tile(int32_t most) const {
    const int32_t left = end() - begin_;
    return {begin_, left < most ? left : most};
  }

  // Calls take(stop) for each stop that lies right before it. (Asked of the list and not kept:
  // registers are short.)
  template <class Take>
  __device__ __forceinline__ void stops(const Take &take) const {
    std::uint32_t at = next_ - 8;
    if (static_cast<int32_t>(ptx::load_shared(at)) != begin_) return;  // in the midst of a block
    for (at -= 8; static_cast<int32_t>(ptx::load_shared(at)) == kStop; at -= 8) {
      take(static_cast<int32_t>(ptx::load_shared(at + 4)));
    }
  }

  // At the end: how many stops were reached.
  static __device__ __forceinline__ int32_t reached(std::uint32_t shared) {
    return static_cast<int32_t>(ptx::load_shared(shared + 4));
  }

  // On to the tile after it.
  __device__ __forceinline__ void advance(int32_t most) {
    begin_ += most;
    if (begin_ >= end()) next_entry();
  }

  __device__ __forceinline__ bool ended() const { return begin_ < 0; }

  // At the end of the list: whether there is more to list.
  __device__ __forceinline__ bool more() const { return begin_ == kMore; }

 private:
  static constexpr int32_t kEnd = -1, kMore = -2, kStop = -3;

  static __device__ __forceinline__ void put(std::uint32_t at, const Run &run) {
    ptx::store_shared(at, run.begin);
    ptx::store_shared(at + 4, run.end);
  }

  __device__ __forceinline__ int32_t end() const {
    return static_cast<int32_t>(ptx::load_shared(next_ - 4));
  }

  __device__ __forceinline__ void next_entry() {
    do {
      begin_ = static_cast<int32_t>(ptx::load_shared(next_));
      next_ += 8;
    } while (begin_ == kStop);
  }

  std::uint32_t next_;
  int32_t begin_;
};

}  // namespace svdit::cuda

#endif
