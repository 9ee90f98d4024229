#include "cpu/attention/attention.h"

#include <algorithm>

namespace svdit {

void StoredTokens::list(int32_t begin, int32_t end, int32_t *tokens) const {
  for (int32_t i = begin; i < end; ++i) {
    const bool video = i >= video_begin_ && i < video_end_;
    *tokens++ = video ? video_begin_ + stored_[i - video_begin_] : i;
  }
}

int32_t KeyChunks::next(int32_t *tokens) {
  int32_t count = 0;
  while (count < kChunkKeys) {
    if (run_.begin == run_.end && !cursor_.next(&run_)) break;
    const int32_t take = std::min(run_.end - run_.begin, kChunkKeys - count);
    stored_.list(run_.begin, run_.begin + take, tokens + count);
    run_.begin += take;
    count += take;
  }
  return count;
}

float log2_scale(float scale) { return (float)(scale * 1.4426950408889634); }

namespace {

// One query block of one head of one batch row.
void compute_block(const Plan &plan, const BlockKernels &kernels, const svdit_attention_args &args,
                   int32_t row, const WorkItem &item, int32_t text_valid, Scratch &scratch) {
  const int32_t bytes = plan.element_type == SVDIT_FP32 ? 4 : 2;
  const Layout &layout = plan.layout;
  const std::vector<int32_t> &order = plan.orders[plan.heads[item.head].order].stored;
  const StoredTokens queries(layout.query_video_begin, layout.query_video, order);
  const StoredTokens keys(layout.key_video_begin, layout.key_video, order);

  const Run run = layout.query_run(item.query_block);
  int32_t query_tokens[kBlockQueries];
  queries.list(run.begin, run.end, query_tokens);

  BlockTask task{};
  task.q = rows_of(args.q, row, item.head, bytes);
  task.k = rows_of(args.k, row, item.head, bytes);
  task.v = rows_of(args.v, row, item.head, bytes);
  task.query_tokens = query_tokens;
  task.queries = run.end - run.begin;
  task.head_dim = plan.head_dim;
  task.scale = log2_scale(args.scale);

  kernels.begin(task, scratch);
  KeyChunks chunks(plan.runs(item.head, item.query_block, text_valid), keys);
  int32_t tokens[2][kChunkKeys];
  int32_t now = 0;
  int32_t count = chunks.next(tokens[now]);
  while (count > 0) {
    const int32_t next = chunks.next(tokens[1 - now]);
    kernels.step(task, scratch, tokens[now], count, tokens[1 - now], next);
    now = 1 - now;
    count = next;
  }

  const int64_t lse_row = ((int64_t)row * plan.head_count() + item.head) * plan.query_tokens();
  const BlockResult result{rows_of(args.out, row, item.head, bytes), query_tokens,
                           args.lse == nullptr ? nullptr : args.lse + lse_row};
  kernels.finish(task, scratch, result);
}

}  // namespace

void compute_attention(const Plan &plan, const TierKernels &kernels, ThreadPool &pool,
                       ScratchPool &scratches, const svdit_attention_args &args) {
  require_not_cancelled(args);
  const ScratchPool::Lease lease(scratches);
  const int64_t work = (int64_t)plan.work.size();
  pool.run(work * args.batch, [&](ThreadPool::Items &items) {
    Scratch &scratch = scratches.of(items.participant(), lease);
    for (int64_t i = items.next(); i >= 0; i = items.next()) {
      const WorkItem &item = plan.work[i % work];
      if (item.head < args.head_begin || item.head >= args.head_end ||
          item.query_block < args.query_block_begin || item.query_block >= args.query_block_end) {
        continue;
      }
      require_not_cancelled(args);
      const int32_t row = (int32_t)(i / work);
      const int32_t valid =
          args.text_valid == nullptr ? plan.layout.key_text : args.text_valid[row];
      compute_block(plan, kernels.element[plan.tensor_type()], args, row, item, valid, scratch);
    }
  });
}

}  // namespace svdit
