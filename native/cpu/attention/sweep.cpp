// The search's pass: online softmax over key blocks in a chosen order, with the normalised output
// kept at each stop.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <vector>

#include "cpu/attention/attention.h"

namespace svdit {
namespace {

struct Sweep {
  const Plan &plan;
  const BlockKernels &kernels;
  const SweepKernels &sweep_kernels;
  const svdit_sweep_args &args;
  std::vector<int32_t> stored;  // of args' order

  int32_t element_bytes() const { return plan.element_type == SVDIT_FP32 ? 4 : 2; }
  int32_t heads() const { return args.head_end - args.head_begin; }
};

// Buffers of one participant, made before the pass so that nothing fails inside it.
struct SweepBuffers {
  SweepBuffers(const Sweep &sweep)
      : order(sweep.plan.layout.key_video_blocks),
        first(sweep.plan.layout.key_video_blocks),
        outputs((size_t)(sweep.args.stop_count + 1) * kBlockQueries * sweep.plan.head_dim),
        mass(sweep.args.mass == nullptr
                 ? 0
                 : (size_t)sweep.plan.layout.key_video_blocks * kBlockQueries * 2) {}

  std::vector<int32_t> order;  // video key blocks as the pass adds them
  std::vector<char> first;     // whether a block is among the head's first ones
  std::vector<float> outputs;  // [stop, then all keys], each as Scratch::o lies
  std::vector<float> mass;  // [video key block][sum of weights, the maximum it is relative to][row]
};

// Tokens between two video blocks: max(lo_a - hi_b, lo_b - hi_a, 0).
int64_t block_distance(const Layout &layout, int64_t a, int64_t b) {
  if (a == b) return 0;
  const int64_t before = std::min(a, b), after = std::max(a, b);
  return after * layout.block - std::min<int64_t>((before + 1) * layout.block, layout.key_video) +
         1;
}

class BlockSweep {
 public:
  BlockSweep(const Sweep &sweep, SweepBuffers &buffers, Scratch &scratch, int32_t row, int32_t head,
             int32_t query_block, int32_t text_valid)
      : sweep_(sweep),
        layout_(sweep.plan.layout),
        buffers_(buffers),
        scratch_(scratch),
        tokens_(layout_.key_video_begin, layout_.key_video, sweep.stored),
        text_valid_(text_valid),
        query_block_(query_block),
        head_(head) {
    const Run run = layout_.query_run(query_block);
    tokens_.list(run.begin, run.end, query_tokens_);
    const int32_t bytes = sweep.element_bytes();
    task_.q = rows_of(sweep.args.q, row, head, bytes);
    task_.k = rows_of(sweep.args.k, row, head, bytes);
    task_.v = rows_of(sweep.args.v, row, head, bytes);
    task_.query_tokens = query_tokens_;
    task_.queries = run.end - run.begin;
    task_.head_dim = sweep.plan.head_dim;
    task_.scale = log2_scale(sweep.args.scale);
  }

  // The whole pass; afterwards outputs hold every stop's and the dense result.
  void run() {
    const svdit_sweep_args &args = sweep_.args;
    const bool text_query = query_block_ >= layout_.query_video_blocks;
    const int32_t listed = order_blocks(text_query);
    sweep_.kernels.begin(task_, scratch_);
    add(layout_.key_text_begin, layout_.key_text_begin + text_valid_);
    int32_t stop = 0;
    const int32_t blocks = layout_.key_video_blocks;
    for (int32_t i = 0; i < blocks; ++i) {
      // A stop is reached when the next block lies beyond it.
      while (!text_query && stop < args.stop_count && beyond(i, listed, args.stops[stop])) {
        write_output(stop++);
      }
      const int32_t block = buffers_.order[i];
      const int32_t begin = layout_.key_video_begin + block * layout_.block;
      const int32_t left = layout_.key_video_begin + layout_.key_video - begin;
      float *mass =
          buffers_.mass.empty() ? nullptr : &buffers_.mass[(size_t)block * 2 * kBlockQueries];
      add(begin, begin + std::min(layout_.block, left), mass);
    }
    while (stop < args.stop_count) write_output(stop++);
    write_output(args.stop_count);
  }

  void write_results(int64_t result) const {
    const svdit_sweep_args &args = sweep_.args;
    const int32_t d = task_.head_dim;
    const float *dense = output(args.stop_count);
    const float *gram =
        args.gram == nullptr ? nullptr : args.gram + (int64_t)(head_ - args.head_begin) * d * d;
    for (int32_t t = 0; t < args.stop_count; ++t) {
      args.error[result * args.stop_count + t] = squared_norm(output(t), dense, gram);
    }
    args.norm[result] = squared_norm(dense, nullptr, gram);
    if (args.reference != nullptr) {
      int32_t rows[kBlockQueries];
      std::iota(rows, rows + kBlockQueries, 0);
      float *to = args.reference + result * layout_.block * d;
      std::memset(to, 0, sizeof(float) * layout_.block * d);
      const Rows out{reinterpret_cast<char *>(to), (int64_t)sizeof(float) * d};
      sweep_.kernels.finish_fp32(task_, scratch_, {out, rows, nullptr});
    }
    if (args.mass != nullptr) write_mass(args.mass + result * layout_.key_video_blocks);
  }

 private:
  // Fills buffers_.order and returns how many of it are the head's `first` ones.
  int32_t order_blocks(bool text_query) {
    const svdit_sweep_args &args = sweep_.args;
    std::vector<int32_t> &order = buffers_.order;
    std::fill(buffers_.first.begin(), buffers_.first.end(), 0);
    int32_t listed = 0;
    if (args.first != nullptr) {
      const int64_t *offsets = args.first_offsets + (head_ - args.head_begin);
      for (int64_t i = offsets[0]; i < offsets[1]; ++i) {
        order[listed++] = args.first[i];
        buffers_.first[args.first[i]] = 1;
      }
    }
    int32_t next = listed;
    for (int32_t b = 0; b < layout_.key_video_blocks; ++b) {
      if (!buffers_.first[b]) order[next++] = b;
    }
    if (args.rule == SVDIT_SWEEP_DISTANCE && !text_query) {
      std::sort(order.begin() + listed, order.end(), [&](int32_t a, int32_t b) {
        const int64_t x = block_distance(layout_, query_block_, a);
        const int64_t y = block_distance(layout_, query_block_, b);
        return x != y ? x < y : a < b;
      });
    }
    return listed;
  }

  // Whether the i-th block in the order is not part of what stop allows.
  bool beyond(int32_t i, int32_t listed, int64_t stop) const {
    if (sweep_.args.rule == SVDIT_SWEEP_RANKED) return i >= stop;
    return i >= listed && block_distance(layout_, query_block_, buffers_.order[i]) > stop;
  }

  // Adds the keys at positions begin .. end - 1. mass, if given, takes the weight each row puts on
  // them.
  void add(int32_t begin, int32_t end, float *mass = nullptr) {
    if (mass != nullptr) std::memset(mass, 0, sizeof(float) * 2 * kBlockQueries);
    int32_t tokens[kChunkKeys];
    while (begin < end) {
      const int32_t count = std::min<int32_t>(end - begin, kChunkKeys);
      tokens_.list(begin, begin + count, tokens);
      sweep_.kernels.step(task_, scratch_, tokens, count, tokens, 0);
      begin += count;
      if (mass == nullptr) continue;
      for (int32_t i = 0; i < task_.queries; ++i) {
        // What this block's earlier chunk put in was relative to an older maximum.
        float &sum = mass[i], &max = mass[kBlockQueries + i];
        const float kept =
            sum == 0 ? 0 : sum * std::exp2((max - scratch_.max[i]) * std::fabs(task_.scale));
        sum = kept + scratch_.step_sum[i];
        max = scratch_.max[i];
      }
    }
  }

  float *output(int32_t stop) const {
    return &buffers_.outputs[(size_t)stop * kBlockQueries * task_.head_dim];
  }

  void write_output(int32_t stop) const {
    sweep_.sweep_kernels.snapshot(task_, scratch_, output(stop));
  }

  double squared_norm(const float *a, const float *b, const float *gram) const {
    return sweep_.sweep_kernels.squared_norm(task_, scratch_, a, b, gram);
  }

  void write_mass(double *mass) const {
    for (int32_t b = 0; b < layout_.key_video_blocks; ++b) {
      const float *sums = &buffers_.mass[(size_t)b * 2 * kBlockQueries];
      double total = 0;
      for (int32_t i = 0; i < task_.queries; ++i) {
        const double shrunk = std::exp2(((double)sums[kBlockQueries + i] - scratch_.max[i]) *
                                        std::fabs((double)task_.scale));
        total += sums[i] * shrunk / scratch_.sum[i];
      }
      mass[b] = total;
    }
  }

  const Sweep &sweep_;
  const Layout &layout_;
  SweepBuffers &buffers_;
  Scratch &scratch_;
  const StoredTokens tokens_;
  const int32_t text_valid_, query_block_, head_;
  BlockTask task_{};
  int32_t query_tokens_[kBlockQueries];
};

}  // namespace

void compute_sweep(const Plan &plan, const TierKernels &kernels, ThreadPool &pool,
                   ScratchPool &scratches, const svdit_sweep_args &args) {
  const Order order{args.order, args.tile_t, args.tile_h, args.tile_w};
  const Sweep sweep{plan, kernels.element[plan.tensor_type()], kernels.sweep, args,
                    stored_tokens(plan.sequence, order)};

  const ScratchPool::Lease lease(scratches);
  const int64_t blocks = args.query_block_count;
  const int64_t items_count = blocks * sweep.heads() * args.batch;
  std::vector<std::optional<SweepBuffers>> all_buffers(pool.threads());  // by participant
  pool.run(items_count, [&](ThreadPool::Items &items) {
    std::optional<SweepBuffers> &buffers = all_buffers[items.participant()];
    if (!buffers) buffers.emplace(sweep);
    Scratch &scratch = scratches.of(items.participant(), lease);
    for (int64_t i = items.next(); i >= 0; i = items.next()) {
      // Results lie [batch, head, query block].
      const int32_t row = (int32_t)(i / (blocks * sweep.heads()));
      const int32_t head = args.head_begin + (int32_t)(i / blocks % sweep.heads());
      const int32_t valid =
          args.text_valid == nullptr ? plan.layout.key_text : args.text_valid[row];
      BlockSweep block(sweep, *buffers, scratch, row, head, args.query_blocks[i % blocks], valid);
      block.run();
      block.write_results(i);
    }
  });
}

}  // namespace svdit
