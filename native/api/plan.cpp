// Plans: made, described, destroyed.
#include "api/guard.h"
#include "backend/backend.h"

using namespace svdit;

namespace {

// The number of valid text keys that text_valid asks for; -1 is all.
int32_t checked_text_valid(const Plan &plan, int32_t text_valid) {
  const int32_t text = plan.layout.key_text;
  if (text_valid < -1 || text_valid > text) {
    fail(SVDIT_INVALID_ARGUMENT, "text_valid is %d, expected -1 (all) to %d", text_valid, text);
  }
  return text_valid < 0 ? text : text_valid;
}

}  // namespace

svdit_status svdit_plan_create(svdit_backend *backend, const svdit_plan_desc *desc,
                               svdit_plan **plan, svdit_error *error) {
  return guarded(error, [&] {
    require(backend, "backend");
    require(desc, "svdit_plan_desc");
    require(plan, "plan");
    *plan = backend->compile(compile_plan(*desc)).release();
  });
}

void svdit_plan_destroy(svdit_plan *plan) { delete plan; }

svdit_status svdit_plan_describe(const svdit_plan *plan, svdit_plan_info *info,
                                 svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    require_struct(info, "svdit_plan_info");
    const Plan &p = plan->plan;
    *info = {};
    info->struct_bytes = sizeof *info;
    info->heads = p.head_count();
    info->groups = p.groups;
    info->video_query_blocks = p.layout.query_video_blocks;
    info->query_blocks = p.layout.query_blocks;
    info->query_tokens = p.query_tokens();
    info->key_tokens = p.key_tokens();
    info->bytes = plan->bytes();
  });
}

svdit_status svdit_plan_groups(const svdit_plan *plan, int32_t *group_of_head, svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    require(group_of_head, "group_of_head");
    for (int32_t h = 0; h < plan->plan.head_count(); ++h) {
      group_of_head[h] = plan->plan.group_of_head[h];
    }
  });
}

svdit_status svdit_plan_density(const svdit_plan *plan, int32_t text_valid, double *density_of_head,
                                svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    require(density_of_head, "density_of_head");
    const int32_t valid = checked_text_valid(plan->plan, text_valid);
    for (int32_t h = 0; h < plan->plan.head_count(); ++h) {
      density_of_head[h] = plan->plan.density(h, valid);
    }
  });
}

svdit_status svdit_plan_runs(const svdit_plan *plan, int32_t head, int32_t query_block,
                             int32_t text_valid, svdit_run *runs, int64_t capacity, int64_t *count,
                             svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    require(count, "count");
    const Plan &p = plan->plan;
    if (head < 0 || head >= p.head_count()) {
      fail(SVDIT_INVALID_ARGUMENT, "head is %d, the plan has heads 0 to %d", head,
           p.head_count() - 1);
    }
    if (query_block < 0 || query_block >= p.layout.query_blocks) {
      fail(SVDIT_INVALID_ARGUMENT, "query_block is %d, the plan has query blocks 0 to %d",
           query_block, p.layout.query_blocks - 1);
    }
    const int32_t valid = checked_text_valid(p, text_valid);
    if (capacity < 0) {
      fail(SVDIT_INVALID_ARGUMENT, "capacity is %lld, expected 0 or more", (long long)capacity);
    }
    if (capacity > 0) require(runs, "runs");
    RunCursor cursor = p.runs(head, query_block, valid);
    int64_t n = 0;
    for (Run run; cursor.next(&run); ++n) {
      if (n < capacity) runs[n] = {run.begin, run.end};
    }
    *count = n;
  });
}

svdit_status svdit_plan_workspace(const svdit_plan *plan, int32_t batch, uint64_t *bytes,
                                  svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    require(bytes, "bytes");
    if (batch < 1) fail(SVDIT_INVALID_ARGUMENT, "batch is %d, expected 1 or more", batch);
    *bytes = plan->workspace_bytes(batch);
  });
}
