// The CPU backend: threads, scratch memory and a tier's kernels.
#ifndef SVDIT_CPU_CPU_BACKEND_H
#define SVDIT_CPU_CPU_BACKEND_H

#include "backend.h"
#include "cpu/ops.h"
#include "cpu/scratch.h"
#include "cpu/threads.h"
#include "cpu/tier.h"

namespace svdit {

class CpuBackend : public svdit_backend {
 public:
  CpuBackend(uint32_t tier, int32_t threads);

  void describe(svdit_backend_info &info) const override;
  void *allocate(uint32_t kind, uint64_t bytes) override;
  void release(uint32_t kind, void *address) override;
  void copy(void *to, const void *from, uint64_t bytes, svdit_stream stream) override;
  svdit_stream create_stream() override;
  void destroy_stream(svdit_stream stream) override;
  void synchronize(svdit_stream stream) override;
  std::unique_ptr<svdit_plan> compile(Plan &&plan) override;
  Operations *operations() override { return &operations_; }

  uint32_t tier() const { return tier_; }
  const TierKernels &kernels() const { return kernels_; }
  ThreadPool &pool() { return pool_; }
  ScratchPool &scratches() { return scratches_; }

 private:
  const uint32_t tier_;
  const TierKernels &kernels_;
  ThreadPool pool_;
  ScratchPool scratches_;
  cpu::CpuOperations operations_;
};

// Throws INVALID_ARGUMENT unless stream is NULL, the only stream there is.
void require_no_stream(svdit_stream stream);

}  // namespace svdit

#endif
