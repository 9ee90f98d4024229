// Attention on the CPU: the mainloop that every pattern, type and tier shares.
#ifndef SVDIT_CPU_ATTENTION_H
#define SVDIT_CPU_ATTENTION_H

#include <cstdint>

#include "base/error.h"
#include "cpu/attention/scratch.h"
#include "cpu/attention/tier.h"
#include "cpu/pool/threads.h"
#include "plan/plan.h"
#include "svdit.h"

namespace svdit {

static_assert(kLargestBlock <= kBlockQueries, "a query block fits a scratch");

// Where tokens lie in an order: the text segment keeps its place, the video segment is looked up.
class StoredTokens {
 public:
  // stored: of the video_tokens tokens from video_begin on; empty for the identity.
  StoredTokens(int32_t video_begin, int32_t video_tokens, const std::vector<int32_t> &stored)
      : video_begin_(video_begin),
        video_end_(stored.empty() ? video_begin : video_begin + video_tokens),
        stored_(stored) {}

  // Writes the stored tokens of positions begin .. end - 1.
  void list(int32_t begin, int32_t end, int32_t *tokens) const;

 private:
  int32_t video_begin_, video_end_;
  const std::vector<int32_t> &stored_;
};

// Cuts runs into chunks of stored tokens: what touches a tier's kernels in place of positions.
class KeyChunks {
 public:
  KeyChunks(const RunCursor &cursor, const StoredTokens &stored)
      : cursor_(cursor), stored_(stored) {}

  // Writes up to kChunkKeys tokens and returns how many; 0 at the end.
  int32_t next(int32_t *tokens);

 private:
  RunCursor cursor_;
  const StoredTokens &stored_;
  Run run_{0, 0};
};

// The rows of one head of one batch row.
inline Rows rows_of(const svdit_tensor &t, int32_t row, int32_t head, int32_t element_bytes) {
  return {
      static_cast<char *>(t.data) + (row * t.stride_batch + head * t.stride_head) * element_bytes,
      t.stride_token * element_bytes};
}

// Throws CANCELLED where another thread asked for it; between two items.
inline void require_not_cancelled(const svdit_attention_args &args) {
  if (args.cancelled != nullptr && __atomic_load_n(args.cancelled, __ATOMIC_RELAXED) != 0) {
    fail(SVDIT_CANCELLED, "the call was cancelled");
  }
}

// scale times log2(e), so that weights are powers of two.
float log2_scale(float scale);

// svdit_attention on args that check_attention passed, with a text_valid of TextValid.
void compute_attention(const Plan &plan, const TierKernels &kernels, ThreadPool &pool,
                       ScratchPool &scratches, const svdit_attention_args &args);

// svdit_sweep on args that check_sweep passed, with a text_valid of TextValid.
void compute_sweep(const Plan &plan, const TierKernels &kernels, ThreadPool &pool,
                   ScratchPool &scratches, const svdit_sweep_args &args);

}  // namespace svdit

#endif
