// The consumer of the sm_90a kernel: a warpgroup that computes one strip of queries.
//
// While the tensor cores multiply the values of one tile, and the keys of the next, the other
// warpgroups are in softmax; warpgroups take turns in giving the tensor cores work. Scores, weights
// and output stay in registers: a StripArithmetic has them, for 16 bits (arithmetic_sm90.cuh) or
// for e4m3 (arithmetic_e4m3_sm90.cuh).
#ifndef SVDIT_CUDA_CONSUMER_SM90_CUH
#define SVDIT_CUDA_CONSUMER_SM90_CUH

#include "cuda/kernels/strip_sm90.cuh"

namespace svdit::cuda {

// Of one item and strip. It has
// - scores(), product(): the registers of the two products, as wgmma numbers them
// - multiply_keys(tiles), multiply_values(tiles): give the tensor cores a tile's products
// - read(tiles): what else than numbers it needs of a tile's keys, before they are given back
// - weigh(note): scores into weights, once they are computed
// - join(): makes the product of values a part of the output, once it is computed
// - rescale(): brings the output to the maximum of the scores weighed last
// - pack(): weights into operands of the next product
// - sum(): a number that depends on all weights
// - store(index, strip): ends the item
template <class Shape>
class StripArithmetic;

template <class Shape>
class Consumer {
  using Arithmetic = StripArithmetic<Shape>;

 public:
  __device__ __forceinline__ Consumer(const AttentionParams &p, std::uint32_t shared, int strip)
      : p_(p), shared_(shared), strip_(strip), tiles_(shared, strip) {}

  __device__ __forceinline__ void run() {
    Items<Shape> items(shared_);
    std::uint32_t phase = 0;
    for (Announced next = items.next(); !next.none(); next = items.next()) {
      Arithmetic arithmetic(p_);
      if (next.keys()) {
        tiles_.wait_for_queries(phase);
        phase ^= 1;
        attend(arithmetic);
      }
      arithmetic.store(next.index(), strip_);
    }
  }

 private:
  // Over the tiles of an item.
  __device__ __forceinline__ void attend(Arithmetic &arithmetic) {
    for (bool more = true; more;) {
      const TileNote first = tiles_.wait_for_keys();
      more = !first.last();
      tiles_.take_turn();
      if (first.seen == 0) {
        tiles_.pass_over(first);
        continue;
      }
      ptx::wgmma_fence();
      arithmetic.multiply_keys(tiles_);
      tiles_.pass_turn();
      ptx::wgmma_wait<0>();
      ptx::wgmma_hold(arithmetic.scores());
      arithmetic.read(tiles_);
      tiles_.release_keys(first);
      arithmetic.weigh(first);
      arithmetic.rescale();
      arithmetic.pack();
      while (more) {
        const TileNote note = tiles_.wait_for_keys();
        if (note.seen == 0) break;
        more = !note.last();
        tiles_.take_turn();
        ptx::wgmma_fence();
        arithmetic.multiply_keys(tiles_);
        tiles_.wait_for_values();
        ptx::wgmma_fence();
        arithmetic.multiply_values(tiles_);
        tiles_.pass_turn();
        ptx::wgmma_wait<1>();
        ptx::wgmma_hold(arithmetic.scores());
        arithmetic.read(tiles_);
        tiles_.release_keys(note);
        arithmetic.weigh(note);
        ptx::wgmma_wait_after<0>(arithmetic.sum(), shared_);
        ptx::wgmma_hold(arithmetic.product());
        tiles_.release_values();
        arithmetic.join();
        arithmetic.rescale();
        arithmetic.pack();
      }
      tiles_.wait_for_values();
      ptx::wgmma_fence();
      arithmetic.multiply_values(tiles_);
      ptx::wgmma_wait<0>();
      ptx::wgmma_hold(arithmetic.product());
      tiles_.release_values();
      arithmetic.join();
    }
  }

  const AttentionParams &p_;
  const std::uint32_t shared_;
  const int strip_;
  StripTiles<Shape> tiles_;
};

}  // namespace svdit::cuda

#endif
