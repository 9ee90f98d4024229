// Attention of e4m3 for Hopper GPUs: the pipeline of attention_sm90.cuh, with both products in 8
// bits. quantise_e4m3 runs before it.
//
// cursor    cursor_sm90.cuh          lists which keys the tiles hold; one kernel serves every mode
// producer  producer_e4m3_sm90.cuh   brings them, and queries, into shared memory
// consumer  consumer_e4m3_sm90.cuh   multiplies, a warpgroup for each strip of 64 queries
// softmax   softmax_e4m3.cuh         turns scores into weights meanwhile
#ifndef SVDIT_CUDA_ATTENTION_E4M3_SM90_CUH
#define SVDIT_CUDA_ATTENTION_E4M3_SM90_CUH

#include "cuda/consumer_e4m3_sm90.cuh"
#include "cuda/cursor_sm90.cuh"
#include "cuda/producer_e4m3_sm90.cuh"

namespace svdit::cuda {

template <int kHeadDim, int kBlock>
__global__ void __launch_bounds__(ShapeE4m3<kHeadDim, kBlock>::kThreads, 1)
    attention_e4m3_sm90(const __grid_constant__ AttentionParams p,
                        const __grid_constant__ QuantisedHeads from) {
  using Shape = ShapeE4m3<kHeadDim, kBlock>;
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
      produce_units<Shape, false>(p, from, shared);
    } else if (warp == 2) {
      produce_units<Shape, true>(p, from, shared);
    } else {
      produce_query_units<Shape>(p, from, shared);
    }
  } else {
    ptx::take_registers<Shape::kConsumerRegisters>();
    ConsumerE4m3<Shape>(p, shared, warp / 4 - 1).run();
  }
}

}  // namespace svdit::cuda

#endif
