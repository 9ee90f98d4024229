// The C side of the call overhead: svdit_attention called in a loop, and how long that took. Loaded
// by the Java program CallOverhead, which gives it the same plan, tensors and stream it calls with.
#include <ctime>

#include "svdit.h"

namespace {
int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}
}  // namespace

using Attention = svdit_status (*)(const svdit_plan *, const svdit_attention_args *, svdit_stream,
                                   svdit_error *);

// Nanoseconds for that many calls; -1 if one fails.
extern "C" __attribute__((visibility("default"))) int64_t svdit_call_loop(
    Attention attention, const svdit_plan *plan, const svdit_attention_args *args,
    svdit_stream stream, svdit_error *error, int64_t calls) {
  const int64_t begin = now_ns();
  for (int64_t i = 0; i < calls; ++i) {
    if (attention(plan, args, stream, error) != SVDIT_OK) return -1;
  }
  return now_ns() - begin;
}
