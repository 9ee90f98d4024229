#include "api/check.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "api/guard.h"
#include "plan/text_valid.h"

namespace svdit {
namespace {

__extension__ typedef __int128 Wide;  // no product of a stride and a count overflows it

// The bytes from data to the end of a tensor's last element.
struct Span {
  const char *name;
  uintptr_t begin;
  Wide bytes;
};

void require_disjoint(const Span &written, const Span &other) {
  if ((Wide)written.begin < other.begin + other.bytes &&
      (Wide)other.begin < written.begin + written.bytes) {
    fail(SVDIT_INVALID_ARGUMENT, "%s (at 0x%llx) overlaps %s (at 0x%llx)", written.name,
         (unsigned long long)written.begin, other.name, (unsigned long long)other.begin);
  }
}

Span check_tensor(const svdit_tensor &t, const char *name, const Plan &plan, int32_t batch,
                  int32_t tokens) {
  if (t.data == nullptr) fail(SVDIT_INVALID_ARGUMENT, "%s.data is NULL", name);
  if (t.stride_batch < 0 || t.stride_head < 0 || t.stride_token < 0) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%s: strides of batch, head and token are %lld, %lld, %lld elements, expected 0 or more",
         name, (long long)t.stride_batch, (long long)t.stride_head, (long long)t.stride_token);
  }
  const int32_t size = plan.element_type == SVDIT_FP32 ? 4 : 2;
  if ((uintptr_t)t.data % size != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "%s.data is 0x%llx, not a multiple of the element size %d", name,
         (unsigned long long)(uintptr_t)t.data, size);
  }
  const Wide last = (Wide)(batch - 1) * t.stride_batch +
                    (Wide)(plan.head_count() - 1) * t.stride_head +
                    (Wide)(tokens - 1) * t.stride_token + plan.head_dim;
  if (last * size > (Wide)t.extent_bytes) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%s: extent_bytes is %llu, but [%d, %d, %d, %d] elements of %d bytes with strides %lld, "
         "%lld, %lld reach %s%llu",
         name, (unsigned long long)t.extent_bytes, batch, plan.head_count(), tokens, plan.head_dim,
         size, (long long)t.stride_batch, (long long)t.stride_head, (long long)t.stride_token,
         last * size > (Wide)UINT64_MAX ? "more than " : "",
         (unsigned long long)std::min<Wide>(last * size, UINT64_MAX));
  }
  return {name, (uintptr_t)t.data, last * size};
}

// No two elements of out may share an address: from the smallest stride up, each must step over all
// below it.
void check_distinct(const svdit_tensor &t, const Plan &plan, int32_t batch, int32_t tokens) {
  struct Dim {
    int64_t stride, count;
  };
  Dim dims[] = {
      {t.stride_batch, batch}, {t.stride_head, plan.head_count()}, {t.stride_token, tokens}};
  std::sort(std::begin(dims), std::end(dims),
            [](const Dim &a, const Dim &b) { return a.stride < b.stride; });
  Wide reach = plan.head_dim;
  for (const Dim &dim : dims) {
    if (dim.count == 1) continue;
    if (dim.stride < reach) {
      fail(SVDIT_INVALID_ARGUMENT,
           "out: strides of batch, head and token %lld, %lld, %lld make elements overlap",
           (long long)t.stride_batch, (long long)t.stride_head, (long long)t.stride_token);
    }
    reach += (Wide)(dim.count - 1) * dim.stride;
  }
}

void check_batch(int32_t batch) {
  if (batch < 1) fail(SVDIT_INVALID_ARGUMENT, "batch is %d, expected 1 or more", batch);
}

void check_workspace(uint64_t needed, const void *workspace, uint64_t bytes, const char *by) {
  if (needed > 0 && (workspace == nullptr || bytes < needed)) {
    fail(SVDIT_INVALID_ARGUMENT, "workspace_bytes is %llu at %p, this %s need %llu",
         (unsigned long long)bytes, workspace, by, (unsigned long long)needed);
  }
}

void check_range(int32_t &begin, int32_t &end, int32_t count, const char *name) {
  if (begin == 0 && end == 0) end = count;
  if (begin < 0 || begin >= end || end > count) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%s_begin and %s_end are %d and %d, expected a range within 0 to %d (or 0 and 0 for all)",
         name, name, begin, end, count);
  }
}

float checked_scale(float scale, int32_t head_dim) {
  if (!(std::fabs(scale) <= 0x1p100f)) {
    fail(SVDIT_INVALID_ARGUMENT, "scale is %g, expected a number within 2^100 of 0", (double)scale);
  }
  return scale == 0 ? (float)(1 / std::sqrt((double)head_dim)) : scale;
}

// first holds each head's listed blocks: in range and none twice.
void check_first(const svdit_sweep_args &args, int32_t heads, int32_t video_blocks) {
  if ((args.first == nullptr) != (args.first_offsets == nullptr)) {
    fail(SVDIT_INVALID_ARGUMENT, "first %s NULL, first_offsets %s: expected both or neither",
         args.first == nullptr ? "is" : "is not", args.first_offsets == nullptr ? "is" : "is not");
  }
  if (args.first == nullptr) return;
  if (args.first_offsets[0] != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "first_offsets[0] is %lld, expected 0",
         (long long)args.first_offsets[0]);
  }
  std::vector<int32_t> seen(video_blocks, -1);
  for (int32_t h = 0; h < heads; ++h) {
    const int64_t begin = args.first_offsets[h], end = args.first_offsets[h + 1];
    if (end < begin || end - begin > video_blocks) {
      fail(SVDIT_INVALID_ARGUMENT,
           "first_offsets[%d] is %lld after %lld, expected 0 to %d blocks a head", h + 1,
           (long long)end, (long long)begin, video_blocks);
    }
    for (int64_t i = begin; i < end; ++i) {
      const int32_t block = args.first[i];
      if (block < 0 || block >= video_blocks || seen[block] == h) {
        fail(SVDIT_INVALID_ARGUMENT, "first[%lld] is %d, %s", (long long)i, block,
             block < 0 || block >= video_blocks ? "not a video block" : "twice in its head");
      }
      seen[block] = h;
    }
  }
}

void check_stops(const svdit_sweep_args &args, int32_t heads) {
  if (args.stop_count < 0) {
    fail(SVDIT_INVALID_ARGUMENT, "stop_count is %d, expected 0 or more", args.stop_count);
  }
  if (args.stop_count == 0) return;
  require(args.stops, "stops");
  require(args.error, "error");
  for (int32_t t = 0; t < args.stop_count; ++t) {
    if (args.stops[t] < 0 || (t > 0 && args.stops[t] <= args.stops[t - 1])) {
      fail(SVDIT_INVALID_ARGUMENT, "stops[%d] is %lld, expected 0 or more and strictly ascending",
           t, (long long)args.stops[t]);
    }
  }
  if (args.rule != SVDIT_SWEEP_RANKED) return;
  const int64_t last = args.stops[args.stop_count - 1];
  for (int32_t h = 0; h < heads; ++h) {
    const int64_t listed =
        args.first == nullptr ? 0 : args.first_offsets[h + 1] - args.first_offsets[h];
    if (last > listed) {
      fail(SVDIT_INVALID_ARGUMENT, "stops[%d] is %lld, but head %d lists %lld blocks",
           args.stop_count - 1, (long long)last, args.head_begin + h, (long long)listed);
    }
  }
}

}  // namespace

svdit_attention_args check_attention(const svdit_plan &handle, const svdit_attention_args *given) {
  require_struct(given, "svdit_attention_args");
  require_zero(given->reserved, 0, "svdit_attention_args");
  if (given->launches > SVDIT_LAUNCHES_APART) {
    fail(SVDIT_INVALID_ARGUMENT, "launches is %u, expected 0 (CHOSEN) to 2 (APART)",
         given->launches);
  }
  svdit_attention_args args = *given;
  const Plan &plan = handle.plan;
  check_batch(args.batch);
  const int32_t queries = plan.query_tokens(), keys = plan.key_tokens();
  const Span q = check_tensor(args.q, "q", plan, args.batch, queries);
  const Span k = check_tensor(args.k, "k", plan, args.batch, keys);
  const Span v = check_tensor(args.v, "v", plan, args.batch, keys);
  const Span out = check_tensor(args.out, "out", plan, args.batch, queries);
  check_distinct(args.out, plan, args.batch, queries);
  for (const Span &read : {q, k, v}) require_disjoint(out, read);
  if (args.lse != nullptr) {
    const Wide bytes = (Wide)args.batch * plan.head_count() * queries * (int)sizeof(float);
    if ((uintptr_t)args.lse % sizeof(float) != 0 || bytes > (Wide)args.lse_bytes) {
      fail(SVDIT_INVALID_ARGUMENT,
           "lse is at 0x%llx with lse_bytes %llu, expected a multiple of 4 and %llu bytes",
           (unsigned long long)(uintptr_t)args.lse, (unsigned long long)args.lse_bytes,
           (unsigned long long)std::min<Wide>(bytes, UINT64_MAX));
    }
    const Span lse{"lse", (uintptr_t)args.lse, bytes};
    for (const Span &other : {q, k, v, out}) require_disjoint(lse, other);
  }
  args.scale = checked_scale(args.scale, plan.head_dim);
  check_range(args.head_begin, args.head_end, plan.head_count(), "head");
  check_range(args.query_block_begin, args.query_block_end, plan.layout.query_blocks,
              "query_block");
  check_workspace(handle.workspace_bytes(args.batch), args.workspace, args.workspace_bytes,
                  "plan and batch");
  return args;
}

svdit_sweep_args check_sweep(const svdit_plan &handle, const svdit_sweep_args *given) {
  require_struct(given, "svdit_sweep_args");
  require_zero(given->reserved, 0, "svdit_sweep_args");
  svdit_sweep_args args = *given;
  const Plan &plan = handle.plan;
  if (plan.cross_keys > 0) {
    fail(SVDIT_INVALID_ARGUMENT,
         "the plan is one of cross-attention (key_tokens %d), which has "
         "nothing to sweep",
         plan.cross_keys);
  }
  check_batch(args.batch);
  check_tensor(args.q, "q", plan, args.batch, plan.query_tokens());
  check_tensor(args.k, "k", plan, args.batch, plan.key_tokens());
  check_tensor(args.v, "v", plan, args.batch, plan.key_tokens());
  args.scale = checked_scale(args.scale, plan.head_dim);
  if (args.rule > SVDIT_SWEEP_RANKED) {
    fail(SVDIT_INVALID_ARGUMENT, "rule is %u, expected 0 (DISTANCE) or 1 (RANKED)", args.rule);
  }
  check_order(args.order, args.tile_t, args.tile_h, args.tile_w, "svdit_sweep_args");
  check_range(args.head_begin, args.head_end, plan.head_count(), "head");
  if (args.query_block_count < 1) {
    fail(SVDIT_INVALID_ARGUMENT, "query_block_count is %d, expected 1 or more",
         args.query_block_count);
  }
  require(args.query_blocks, "query_blocks");
  for (int32_t i = 0; i < args.query_block_count; ++i) {
    if (args.query_blocks[i] < 0 || args.query_blocks[i] >= plan.layout.query_blocks) {
      fail(SVDIT_INVALID_ARGUMENT, "query_blocks[%d] is %d, the plan has query blocks 0 to %d", i,
           args.query_blocks[i], plan.layout.query_blocks - 1);
    }
  }
  const int32_t heads = args.head_end - args.head_begin;
  check_first(args, heads, plan.layout.key_video_blocks);
  check_stops(args, heads);
  const TextValid checked(plan, args.text_valid, args.batch);
  require(args.norm, "norm");
  return args;
}

void check_sweep_workspace(const svdit_plan &handle, const svdit_sweep_args &args) {
  check_workspace(handle.sweep_workspace_bytes(args), args.workspace, args.workspace_bytes,
                  "plan and sweep");
}

}  // namespace svdit
