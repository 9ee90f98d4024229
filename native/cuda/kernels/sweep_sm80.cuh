// The search's pass for compute capability 8.0 and later: attention_sm80's main loop over all keys
// of a query block, in the order the sweep asks for. At each stop the block's output so far,
// normalised, goes to the block's own scratch memory; at the end it is compared with the output
// over all keys (sweep_outputs.cuh).
//
// Key rows of a sweep in another order than stored are gathered where they lie: a head's query
// blocks are a sample, and a row is two whole cache lines (one at D 64).
#ifndef SVDIT_CUDA_SWEEP_SM80_CUH
#define SVDIT_CUDA_SWEEP_SM80_CUH

#include "cuda/kernels/attention_sm80.cuh"
#include "cuda/kernels/sweep_list.cuh"
#include "cuda/kernels/sweep_outputs.cuh"
#include "cuda/kernels/sweep_params.h"

namespace svdit::cuda {

template <class Element, int kHeadDim, int kBlock>
struct SweepSm80 {
  using Attention = AttentionSm80<Element, kHeadDim, kBlock>;
  using KeyLoader = typename Attention::KeyLoader;
  using Item = typename Attention::Item;
  using Scores = typename Attention::Scores;
  using Out = typename Attention::Out;

  static constexpr int kThreads = Attention::kThreads;
  static constexpr int kTile = Attention::kTile;
  static constexpr int kRowTiles = Attention::kRowTiles;
  static_assert(kTile == kSweepTile);

  static constexpr int kList = Attention::kRuns;
  using Outputs = SweepOutputs<Attention, kHeadDim, kBlock, kList + SweepList::kBytes>;
  static constexpr int kSweptHead = Outputs::kEnd;  // counted from the first one swept
  static constexpr int kBatch = kSweptHead + 4;
  static constexpr int kQueryBlock = kBatch + 4;
  static constexpr int kSharedBytes = kQueryBlock + 4;

  // That many must fit a multiprocessor's registers: one less than attention's where the gathering
  // of keys would not fit.
  static constexpr int kBlocksPerProcessor = kHeadDim == 128 ? 2 : Attention::kBlocksPerProcessor;

  // Of the item whose index lies in shared memory, thread 0 puts what it stands for there too, for
  // all to ask when they need it: registers are short in the main loop.
  static __device__ __forceinline__ void put_item(const SweepParams &p, int32_t index,
                                                  std::uint32_t shared) {
    const int32_t row = index / p.query_block_count;
    ptx::store_shared(shared + kSweptHead, row % p.head_count);
    ptx::store_shared(shared + kBatch, row / p.head_count);
    ptx::store_shared(shared + kQueryBlock, p.query_blocks[index - row * p.query_block_count]);
  }
  static __device__ __forceinline__ int32_t word(std::uint32_t shared, int at) {
    return static_cast<int32_t>(ptx::load_shared(shared + at));
  }
  static __device__ __forceinline__ int32_t item_index(std::uint32_t shared) {
    return word(shared, Attention::kItem);
  }
  static __device__ __forceinline__ Item item_of(const SweepParams &p, std::uint32_t shared) {
    Item item;
    item.head = p.head_begin + word(shared, kSweptHead);
    item.batch = word(shared, kBatch);
    item.query_block = word(shared, kQueryBlock);
    item.rows = p.layout.query_run(item.query_block);
    item.video = p.layout.query_video_begin;
    item.stored = item.query_block >= p.layout.query_video_blocks ? nullptr : p.stored;
    return item;
  }

  // Into `to`, K's or V's place. What a thread's share is, is found out each time: registers are
  // short.
  static __device__ __forceinline__ void load_rows(const SweepParams &p, std::uint32_t to,
                                                   std::uint32_t source, const Tile &tile) {
    const KeyLoader loader(ptx::thread_index(), to);
    const int32_t place = tile.begin - p.layout.key_video_begin;
    if (p.stored == nullptr || place < 0 || place >= p.layout.key_video) {
      Attention::load_rows(loader, source, tile);
      return;
    }
    const ptx::Bits128 s = ptx::load_shared_16(source);
    const auto *data = reinterpret_cast<const char *>(s.x | static_cast<std::uint64_t>(s.y) << 32);
    const int32_t *stored = p.stored + place;
    loader.gathered(loader.share(data), static_cast<int32_t>(s.z), tile.count,
                    [&](int row) { return p.layout.key_video_begin + stored[row]; });
  }

  static __device__ __forceinline__ void pass(const SweepParams &p, Out &out,
                                              Softmax<kRowTiles> &softmax, std::uint32_t shared) {
    const std::uint32_t keys = shared + Attention::kKeys, values = shared + Attention::kValues;
    const std::uint32_t key_source = shared + Attention::kKeySource;
    const std::uint32_t value_source = shared + Attention::kValueSource;
    for (bool more = true; more;) {
      SweepList list(shared + kList, p, word(shared, kSweptHead), word(shared, kQueryBlock),
                     p.text_valid[word(shared, kBatch)]);
      list.stops([&](int32_t stop) { Outputs::keep_output(p, out, softmax, stop); });
      if (!list.ended()) load_rows(p, keys, key_source, list.tile(kTile));
      ptx::copy_async_commit();
      while (!list.ended()) {
        ptx::copy_async_wait<0>();
        ptx::barrier();  // K is here, and nobody reads the V of the tile before any more
        load_rows(p, values, value_source, list.tile(kTile));
        ptx::copy_async_commit();
        if (ptx::thread_index() == 0) {
          ptx::store_shared(shared + Outputs::kPlace,
                            list.tile(kTile).begin - p.layout.key_video_begin);
        }

        Scores scores;
        Attention::multiply_keys(scores, ptx::thread_index(), shared);
        if (p.negative_scale) Attention::negate(scores);
        const int32_t count = list.tile(kTile).count;
        if (count < kTile) Attention::mask_tail(scores, ptx::thread_index(), count);

        ptx::copy_async_wait<0>();
        ptx::barrier();  // V is here, and nobody reads K any more
        list.advance(kTile);
        if (!list.ended()) load_rows(p, keys, key_source, list.tile(kTile));
        ptx::copy_async_commit();

        softmax.update(scores, out, p.scale_log2);
        if (p.mass != nullptr) Outputs::keep_weights(p, scores, softmax, shared);
        Attention::multiply_values(out, scores, ptx::thread_index(), shared);
        list.stops([&](int32_t stop) { Outputs::keep_output(p, out, softmax, stop); });
      }
      more = list.more();
    }
  }

  static __device__ __forceinline__ void compute(const SweepParams &p, std::uint32_t shared) {
    {
      const Item item = item_of(p, shared);
      const int thread = ptx::thread_index();
      const typename Attention::QueryLoader loader(thread, shared);
      loader.gathered(loader.share(p.q.row(item.batch, item.head, 0)), p.q.token_stride,
                      item.rows.end - item.rows.begin, [&](int row) { return item.token(row); });
      if (thread == 0) {
        Attention::put_source(shared + Attention::kKeySource, p.k, {}, item, -1, false);
        Attention::put_source(shared + Attention::kValueSource, p.v, {}, item, -1, true);
        SweepList::begin(shared + kList);
      }
      Softmax<kRowTiles> softmax;
      Out out = {};
      pass(p, out, softmax, shared);
      Outputs::keep_output(p, out, softmax, p.rule.stop_count);
      if (p.mass != nullptr) Outputs::keep_log_sums(p, softmax, shared);
    }
    write_results(p, shared);
  }

  static __device__ __forceinline__ void write_results(const SweepParams &p, std::uint32_t shared) {
    const Run run = item_of(p, shared).rows;
    const int32_t rows = run.end - run.begin;
    if (p.reference != nullptr) {
      Outputs::write_reference(p, p.reference + item_index(shared) * int64_t{kBlock * kHeadDim},
                               rows);
    }
    const char *gram = p.gram;
    if (gram != nullptr) gram += word(shared, kSweptHead) * int64_t{Outputs::kGramBytes};
    const int32_t stops = p.rule.stop_count;
    for (int32_t stop = 0; stop <= stops; ++stop) {
      // A stop that nothing lay beyond gave the output over all keys.
      const bool same = stop < stops && stop >= SweepList::reached(shared + kList);
      const double sum = same ? 0 : Outputs::sum_of_squares(p, stop, rows, gram, shared);
      if (ptx::thread_index() != 0) continue;
      const int64_t index = item_index(shared);
      if (stop < stops) {
        p.error[index * stops + stop] = sum;
      } else {
        p.norm[index] = sum;
      }
    }
    // The barriers within lie between what all warps kept and this.
    if (p.mass != nullptr) {
      const int64_t index = item_index(shared);
      Outputs::write_mass(p, p.mass + index * p.layout.key_video_blocks, rows, shared);
    }
  }
};

template <class Element, int kHeadDim, int kBlock>
__global__ void __launch_bounds__(128, SweepSm80<Element, kHeadDim, kBlock>::kBlocksPerProcessor)
    sweep_sm80(const __grid_constant__ SweepParams p) {
  using Sweep = SweepSm80<Element, kHeadDim, kBlock>;
  const std::uint32_t shared = ptx::shared_memory();
  for (;;) {
    if (ptx::thread_index() == 0) {
      const std::uint32_t index = ptx::atomic_add(p.next_item, 1);
      ptx::store_shared(shared + Sweep::Attention::kItem, index);
      if (index < static_cast<std::uint32_t>(p.items())) {
        Sweep::put_item(p, static_cast<int32_t>(index), shared);
      }
    }
    ptx::barrier();
    if (Sweep::item_index(shared) >= p.items()) break;
    Sweep::compute(p, shared);
    ptx::barrier();  // shared memory and scratch are free for the next item
  }
}

}  // namespace svdit::cuda

#endif
