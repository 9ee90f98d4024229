// A denoiser's other operations on a CUDA device: kernels of its own, and cuBLASLt's products.
#ifndef SVDIT_CUDA_CUDA_OPS_H
#define SVDIT_CUDA_CUDA_OPS_H

#include <atomic>
#include <memory>
#include <mutex>

#include "backend/operations.h"
#include "cuda/host/cublaslt.h"
#include "cuda/host/ops_prepare.h"

namespace svdit::cuda {

// Thread-safe. All work is given to the stream that is named; nothing waits, nothing is allocated
// after open_matmul_library.
class CudaOperations final : public Operations {
 public:
  // Loads the kernels.
  CudaOperations(int device, int multiprocessors);
  ~CudaOperations() override;

  void open_matmul_library(const char *path) override;
  void linear(const svdit_linear_args &args, svdit_stream stream) override;
  void norm(const svdit_norm_args &args, svdit_stream stream) override;
  void rope(const svdit_rope_args &args, svdit_stream stream) override;
  void residual(const svdit_residual_args &args, svdit_stream stream) override;
  void residual_norm(const svdit_residual_args &first, const svdit_norm_args &second,
                     svdit_stream stream) override;
  void norm_rope(const svdit_norm_args &first, const svdit_rope_args &second,
                 svdit_stream stream) override;
  void convert(const svdit_convert_args &args, svdit_stream stream) override;
  void conv(const svdit_conv_args &args, svdit_stream stream) override;
  void group_norm(const svdit_group_norm_args &args, svdit_stream stream) override;
  void spread(const svdit_spread_args &args, svdit_stream stream) override;
  void softmax(const svdit_softmax_args &args, svdit_stream stream) override;
  void multiply(const svdit_multiply_args &args, svdit_stream stream) override;
  void transpose(const svdit_transpose_args &args, svdit_stream stream) override;

 private:
  void launch(const NormLaunch &launch, svdit_stream stream) const;
  template <class Params>
  void launch_groups(const void *kernel, int64_t blocks, Params params, svdit_stream stream) const;
  template <class Params>
  void launch_each(const void *kernel, Params params, svdit_stream stream) const;

  const int device_, multiprocessors_;
  std::mutex library_mutex_;
  std::unique_ptr<CublasLt> library_;
  std::atomic<CublasLt *> opened_{nullptr};  // library_.get() once it and the workspace are ready
  void *workspace_ = nullptr;
};

}  // namespace svdit::cuda

#endif
