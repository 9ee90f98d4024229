// A plan on a CUDA device: its arrays in device memory, its kernels loaded, its grid sized.
#ifndef SVDIT_CUDA_CUDA_PLAN_H
#define SVDIT_CUDA_CUDA_PLAN_H

#include <cuda_runtime_api.h>

#include "backend/backend.h"
#include "cuda/host/launch_choice.h"
#include "cuda/host/prepare.h"
#include "cuda/kernels/kernels.h"

namespace svdit::cuda {

class CudaPlan : public svdit_plan {
 public:
  // Throws Error UNSUPPORTED for what the kernels do not compute.
  // The plan's arrays are uploaded on upload_stream, and are there when this returns.
  CudaPlan(Plan &&compiled, int device, const svdit_backend_info &info, cudaStream_t upload_stream);
  ~CudaPlan() override;

  uint64_t bytes() const override { return plan.bytes() + memory_bytes_; }
  uint64_t workspace_bytes(int32_t batch) const override;
  void attention(const svdit_attention_args &args, svdit_stream stream) const override;
  bool tune(const svdit_attention_args &args, svdit_stream stream,
            float (&times)[2]) const override;
  uint64_t sweep_workspace_bytes(const svdit_sweep_args &args) const override;
  void sweep(const svdit_sweep_args &args, svdit_stream stream) const override;

 private:
  bool apart(const svdit_attention_args &args) const;
  bool quantises() const { return plan.element_type == SVDIT_E4M3; }
  void upload(cudaStream_t stream);
  void load_kernels();
  int load(const void *function, int threads, int shared_bytes, const char *what) const;

  const int device_, multiprocessors_;
  const PlanTables tables_;
  void *memory_ = nullptr;  // holds what arrays_ points to
  uint64_t memory_bytes_ = 0;
  PlanArrays arrays_{};
  AttentionKernel kernel_{};
  PermuteKernel permute_{};
  QuantiseKernel quantise_{};
  SweepKernel sweep_{};
  mutable LaunchChoice choice_;
  int resident_ = 0, sweep_resident_ = 0;  // blocks of a kernel that the device runs at once
};

}  // namespace svdit::cuda

#endif
