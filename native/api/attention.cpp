// The two calls that compute on q, k and v: attention, and the search's sweep.
#include "api/check.h"
#include "api/guard.h"
#include "backend/backend.h"

using namespace svdit;

svdit_status svdit_attention(const svdit_plan *plan, const svdit_attention_args *args,
                             svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    plan->attention(check_attention(*plan, args), stream);
  });
}

svdit_status svdit_plan_tune(const svdit_plan *plan, const svdit_attention_args *args,
                             svdit_stream stream, float times[2], svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    float measured[2] = {0, 0};
    plan->tune(check_attention(*plan, args), stream, measured);
    if (times != nullptr) {
      times[0] = measured[0];
      times[1] = measured[1];
    }
  });
}

svdit_status svdit_sweep(const svdit_plan *plan, const svdit_sweep_args *args, svdit_stream stream,
                         svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    const svdit_sweep_args checked = check_sweep(*plan, args);
    check_sweep_workspace(*plan, checked);
    plan->sweep(checked, stream);
  });
}

svdit_status svdit_sweep_workspace(const svdit_plan *plan, const svdit_sweep_args *args,
                                   uint64_t *bytes, svdit_error *error) {
  return guarded(error, [&] {
    require(plan, "plan");
    require(bytes, "bytes");
    *bytes = plan->sweep_workspace_bytes(check_sweep(*plan, args));
  });
}
