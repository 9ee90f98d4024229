// Attention for Hopper GPUs (wgmma, the copy engine, mbarriers; compute capability 9.0 exactly), in
// the manner of FlashAttention-3: producers and consumers are warps of their own.
//
// cursor      cursor_sm90.cuh      lists which keys the tiles hold; one kernel serves every mode
// producer    producer_sm90.cuh    brings them, and queries, into shared memory
// consumer    consumer_sm90.cuh    multiplies, a warpgroup for each strip of 64 queries
// arithmetic  arithmetic_sm90.cuh  what it multiplies and packs
// softmax     softmax.cuh          turns scores into weights meanwhile
//
// A Shape says which: ShapeSm90 for 16-bit elements; ShapeE4m3, whose producer, arithmetic and
// softmax are those of producer_e4m3_sm90.cuh, arithmetic_e4m3_sm90.cuh and softmax_e4m3.cuh, and
// which wants quantise_e4m3 to have run.
//
// The launch is persistent, as that of sm_80: blocks draw items from a counter, costliest heads
// first, a head's query blocks one after the other, so that its K and V stay in the L2 cache.
#ifndef SVDIT_CUDA_ATTENTION_SM90_CUH
#define SVDIT_CUDA_ATTENTION_SM90_CUH

#include "cuda/kernels/arithmetic_e4m3_sm90.cuh"
#include "cuda/kernels/arithmetic_sm90.cuh"
#include "cuda/kernels/cursor_sm90.cuh"
#include "cuda/kernels/producer_e4m3_sm90.cuh"
#include "cuda/kernels/producer_sm90.cuh"

namespace svdit::cuda {

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    attention_sm90(const __grid_constant__ AttentionParams p,
                   const __grid_constant__ typename Shape::Source source) {
  const std::uint32_t shared = ptx::shared_memory();
  if (ptx::thread_index() == 0) Barriers<Shape>(shared).init();
  ptx::barrier();
  // Told by lane 0, so that the compiler knows that a warp's lanes agree.
  const auto warp = static_cast<int>(ptx::shuffle(ptx::thread_index() / 32, 0));
  if (warp < 4) {
    ptx::give_registers<Shape::kProducerRegisters>();
    if (warp == 0) {
      list_tiles<Shape>(p, shared);
    } else if (warp == 1) {
      produce_tiles<Shape, false>(p, source, shared);
    } else if (warp == 2) {
      produce_tiles<Shape, true>(p, source, shared);
    } else {
      produce_queries<Shape>(p, source, shared);
    }
  } else {
    ptx::take_registers<Shape::kConsumerRegisters>();
    Consumer<Shape>(p, shared, warp / 4 - 1).run();
  }
}

}  // namespace svdit::cuda

#endif
