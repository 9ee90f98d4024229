// A denoiser's other operations on the CPU: rows spread over the backend's threads.
#ifndef SVDIT_CPU_OPS_H_
#define SVDIT_CPU_OPS_H_

#include <atomic>
#include <memory>
#include <mutex>

#include "backend/operations.h"
#include "cpu/ops/ops_onednn.h"
#include "cpu/ops/ops_rows.h"
#include "cpu/pool/threads.h"

namespace svdit::cpu {

// Thread-safe.
class CpuOperations final : public Operations {
 public:
  // Both outlive this.
  CpuOperations(const RowKernels &kernels, ThreadPool &pool);

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
  // Calls rows_of(begin, end) for ranges that cover all rows, on several threads where the work is
  // worth waking them.
  template <typename F>
  void each_rows(int64_t rows, int64_t columns, F rows_of);
  int64_t row_tasks(int64_t rows, int64_t columns) const;

  const RowKernels &kernels_;
  ThreadPool &pool_;
  std::mutex library_mutex_;
  std::unique_ptr<MatmulLibrary> library_;
  std::atomic<MatmulLibrary *> opened_{nullptr};  // library_.get() once it is ready
};

}  // namespace svdit::cpu

#endif  // SVDIT_CPU_OPS_H_
