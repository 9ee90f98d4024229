// The four pieces of attention that are compiled once per instruction tier.
//
// A tier knows nothing of patterns: the mainloop (attention.cpp), compiled for the baseline, takes
// positions from a cursor and hands a tier the stored rows of one chunk of keys after the other.
// Nothing in this header is inline, and all that a tier's file defines has internal linkage but its
// table: instructions the processor lacks cannot leak into shared code.
#ifndef SVDIT_CPU_TIER_H
#define SVDIT_CPU_TIER_H

#include <stdint.h>

namespace svdit {

// kGroupLanes: queries that a tier computes with at once, at most.
enum { kBlockQueries = 128, kChunkKeys = 144, kLargestHeadDim = 256, kGroupLanes = 64 };

// Memory of one participant: a query block's state and the buffers of one chunk. 64-byte aligned;
// sizes for the largest head dim in fp32. "Units" are 4 bytes: one fp32, or a pair of bf16 that one
// instruction multiplies.
struct Scratch {
  // The state of each query: running maximum of q.k (unscaled), running sum of the weights, and the
  // sum of the last step alone.
  float max[kBlockQueries], sum[kBlockQueries], step_sum[kBlockQueries];
  // By groups of queries that fill a tile's lanes: [group][unit or d][lane].
  uint32_t q[kLargestHeadDim * kBlockQueries];
  float o[kLargestHeadDim * kBlockQueries];
  // One chunk: keys [key][unit], values [unit][d], scores [key][lane], weights [unit][lane].
  uint32_t k[kChunkKeys * kLargestHeadDim];
  uint32_t v[kChunkKeys * kLargestHeadDim];
  float s[kChunkKeys * kGroupLanes];
  uint32_t p[kChunkKeys * kGroupLanes];
  int32_t started;  // whether a step has been taken
};

// Rows of one head of one batch row: token t is at data + t * stride bytes.
struct Rows {
  char *data;
  int64_t stride;
};

// A query block to compute.
struct BlockTask {
  Rows q, k, v;
  const int32_t *query_tokens;  // stored tokens of its rows
  int32_t queries;              // 1 .. kBlockQueries
  int32_t head_dim;             // a multiple of 8 up to kLargestHeadDim
  float scale;                  // of q.k, times log2(e); any finite number but 0
};

// Where finish() writes a block's rows.
struct BlockResult {
  Rows out;  // row i goes to token tokens[i]
  const int32_t *tokens;
  float *lse;  // NULL, or by token
};

struct BlockKernels {
  // Packs the block's queries into scratch and resets its state.
  void (*begin)(const BlockTask &task, Scratch &scratch);

  // One step of online softmax over count (1 .. kChunkKeys) keys, stored at tokens. The next step's
  // tokens are fetched ahead; next_count may be 0.
  void (*step)(const BlockTask &task, Scratch &scratch, const int32_t *tokens, int32_t count,
               const int32_t *next_tokens, int32_t next_count);

  // Writes the normalised output in the element type, or in fp32, and leaves the state as it is.
  // Rows that saw no key give 0 and -inf.
  void (*finish)(const BlockTask &task, const Scratch &scratch, const BlockResult &result);
  void (*finish_fp32)(const BlockTask &task, const Scratch &scratch, const BlockResult &result);
};

// What the search's pass needs besides, on outputs that lie as Scratch::o does.
struct SweepKernels {
  // Copies the normalised output, kBlockQueries x head_dim; idle lanes are 0.
  void (*snapshot)(const BlockTask &task, const Scratch &scratch, float *output);

  // The sum over the block's queries of e G e^T with e = a - b. b NULL is 0; G [d, d], symmetric,
  // NULL is the identity. Overwrites the scratch's chunk buffers.
  double (*squared_norm)(const BlockTask &task, Scratch &scratch, const float *a, const float *b,
                         const float *gram);
};

// A tier's table, a row of cpu/tiers.def.
struct TierKernels {
  BlockKernels element[3];  // by SVDIT_BF16, FP16, FP32
  SweepKernels sweep;
};

}  // namespace svdit

#endif
