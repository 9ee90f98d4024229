// What native/api asks of a backend. The opaque handles of svdit.h are these classes.
//
// Entry points check arguments against svdit.h before they call; what is left to a backend is what
// only it knows (UNSUPPORTED shapes, alignment, its memory). Methods report failure by throwing
// Error (base/error.h).
#ifndef SVDIT_BACKEND_H
#define SVDIT_BACKEND_H

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "backend/operations.h"
#include "plan/plan.h"
#include "svdit.h"

// A plan compiled for a backend.
struct svdit_plan {
  explicit svdit_plan(svdit::Plan &&compiled) : plan(std::move(compiled)) {}
  virtual ~svdit_plan() = default;
  svdit_plan(const svdit_plan &) = delete;
  svdit_plan &operator=(const svdit_plan &) = delete;

  // Memory it takes, on the host and a device.
  virtual uint64_t bytes() const { return plan.bytes(); }

  virtual uint64_t workspace_bytes(int32_t batch) const = 0;

  // args has passed check_attention (api/check.h) with its defaults filled in: scale is not 0, and
  // the ranges of heads and query blocks are explicit.
  virtual void attention(const svdit_attention_args &args, svdit_stream stream) const = 0;

  // Measures how to launch args' call, and remembers; false where there is nothing to choose.
  virtual bool tune(const svdit_attention_args &, svdit_stream, float (&)[2]) const {
    return false;
  }

  // args has passed check_sweep, with its defaults filled in likewise; its workspace has not.
  virtual uint64_t sweep_workspace_bytes(const svdit_sweep_args &) const { return 0; }

  // The workspace has passed too.
  virtual void sweep(const svdit_sweep_args &args, svdit_stream stream) const = 0;

  const svdit::Plan plan;
};

// Work recorded from a stream of a backend.
struct svdit_graph {
  svdit_graph() = default;
  virtual ~svdit_graph() = default;
  svdit_graph(const svdit_graph &) = delete;
  svdit_graph &operator=(const svdit_graph &) = delete;

  virtual void launch(svdit_stream stream) = 0;
};

// Events and graphs of a backend that has streams.
struct svdit_streams {
  virtual ~svdit_streams() = default;

  virtual svdit_event create_event() = 0;
  virtual void destroy_event(svdit_event event) = 0;
  virtual void record(svdit_event event, svdit_stream stream) = 0;
  virtual bool done(svdit_event event) = 0;
  virtual void synchronize_event(svdit_event event) = 0;
  virtual float elapsed_ms(svdit_event begin, svdit_event end) = 0;
  virtual void wait(svdit_stream stream, svdit_event event) = 0;

  virtual void begin_capture(svdit_stream stream) = 0;
  // Ends the capture; keep = false throws away what was recorded, and gives nullptr.
  virtual std::unique_ptr<svdit_graph> end_capture(svdit_stream stream, bool keep) = 0;
};

struct svdit_backend {
  svdit_backend() = default;
  virtual ~svdit_backend() = default;
  svdit_backend(const svdit_backend &) = delete;
  svdit_backend &operator=(const svdit_backend &) = delete;

  // Fills everything but struct_bytes; info comes zeroed.
  virtual void describe(svdit_backend_info &info) const = 0;

  // kind is SVDIT_MEMORY_DEVICE or HOST, bytes at least 1; the address is aligned to 256 bytes.
  virtual void *allocate(uint32_t kind, uint64_t bytes) = 0;
  virtual void release(uint32_t kind, void *address) = 0;
  virtual void copy(void *to, const void *from, uint64_t bytes, svdit_stream stream) = 0;

  virtual svdit_stream create_stream() = 0;
  virtual void destroy_stream(svdit_stream stream) = 0;
  virtual void synchronize(svdit_stream stream) = 0;

  // Throws Error UNSUPPORTED for what this backend does not compute.
  virtual std::unique_ptr<svdit_plan> compile(svdit::Plan &&plan) = 0;

  // Owned by the backend; nullptr where it computes attention only.
  virtual svdit::Operations *operations() { return nullptr; }

  // Owned by the backend; nullptr where every call blocks until it is done.
  virtual svdit_streams *streams() { return nullptr; }

  // What allocate gave and release has not taken back; kept by the entry points.
  std::mutex allocations_mutex;
  std::unordered_map<void *, std::uint64_t> allocations[2];  // by kind: address to bytes
};

namespace svdit {

// One pair per backend. Options have passed check_backend_options. probe fills info as far as it is
// known even when it throws; what it throws is what open would throw.
void probe_cpu(const svdit_backend_options &options, svdit_backend_info &info);
std::unique_ptr<svdit_backend> open_cpu(const svdit_backend_options &options);

#if SVDIT_WITH_CUDA
void probe_cuda(const svdit_backend_options &options, svdit_backend_info &info);
std::unique_ptr<svdit_backend> open_cuda(const svdit_backend_options &options);
#endif

}  // namespace svdit

#endif
