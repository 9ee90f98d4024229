// The CPU backend: threads, scratch memory and a tier's kernels.
#ifndef SVDIT_CPU_CPU_BACKEND_H
#define SVDIT_CPU_CPU_BACKEND_H

#include "backend/backend.h"
#include "cpu/attention/scratch.h"
#include "cpu/ops/ops.h"
#include "cpu/pool/threads.h"
#include "cpu/tiers.h"

namespace svdit {

class CpuBackend : public svdit_backend {
 public:
  // tier lives as long as the process.
  CpuBackend(const Tier &tier, int32_t threads);

  void describe(svdit_backend_info &info) const override;
  void *allocate(uint32_t kind, uint64_t bytes) override;
  void release(uint32_t kind, void *address) override;
  void copy(void *to, const void *from, uint64_t bytes, svdit_stream stream) override;
  svdit_stream create_stream() override;
  void destroy_stream(svdit_stream stream) override;
  void synchronize(svdit_stream stream) override;
  std::unique_ptr<svdit_plan> compile(Plan &&plan) override;
  Operations *operations() override { return &operations_; }

  const TierKernels &kernels() const { return *tier_.attention; }
  ThreadPool &pool() { return pool_; }
  ScratchPool &scratches() { return scratches_; }

 private:
  const Tier &tier_;
  ThreadPool pool_;
  ScratchPool scratches_;
  cpu::CpuOperations operations_;
};

// Throws INVALID_ARGUMENT unless stream is NULL, the only stream there is.
void require_no_stream(svdit_stream stream);

}  // namespace svdit

#endif
