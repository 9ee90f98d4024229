// What an E4M3 plan does before it computes: bf16 copies of q, k and v with their elements rounded
// to e4m3 times a scale (svdit_attention). An e4m3 number times a power of two is a bf16 number, so
// the bf16 kernels read the copies as they would read any tensor. (2^128 is none: elements from
// 1.9375 2^127 on become infinite.)
#ifndef SVDIT_CPU_QUANTISE_H
#define SVDIT_CPU_QUANTISE_H

#include <cstdint>

#include "cpu/attention/tier.h"
#include "cpu/pool/threads.h"
#include "plan/plan.h"
#include "svdit.h"

namespace svdit {

// The workspace such a call needs: copies of the query tokens' rows once and of the key tokens'
// twice, of all heads. What a call does not compute is not touched there.
uint64_t quantised_bytes(const Plan &plan, int32_t batch);

// Writes copies of what args' heads and query blocks need into its workspace and returns args with
// the copies as q, k and v. Text keys past the valid ones are neither read nor written; text_valid
// is one of TextValid. Throws Error for a workspace that is not a multiple of 16.
svdit_attention_args quantise(const Plan &plan, ThreadPool &pool, const svdit_attention_args &args);

// Rounds the rows `tokens` of from, which are bf16, with one scale for all of them, into the same
// rows of to. 1 <= count <= 64.
void quantise_rows(const Rows &from, const Rows &to, const int32_t *tokens, int32_t count,
                   int32_t head_dim);

}  // namespace svdit

#endif
