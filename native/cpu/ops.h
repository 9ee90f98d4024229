// A denoiser's other operations on the CPU: rows spread over the backend's threads.
#ifndef SVDIT_CPU_OPS_H_
#define SVDIT_CPU_OPS_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "cpu/ops_onednn.h"
#include "cpu/ops_rows.h"
#include "operations.h"

namespace svdit::cpu {

// Runs task(0) … task(tasks - 1), each once, on the backend's threads, and returns when all are
// done. Tasks do not throw.
using RunTasks = std::function<void(int64_t tasks, const std::function<void(int64_t)> &task)>;

// Thread-safe.
class CpuOperations final : public Operations {
 public:
  // cpu_tier: SVDIT_CPU_TIER_*, not AUTO. threads: how many run() uses.
  CpuOperations(uint32_t cpu_tier, int threads, RunTasks run_tasks);

  void open_matmul_library(const char *path) override;
  void linear(const svdit_linear_args &args, svdit_stream stream) override;
  void norm(const svdit_norm_args &args, svdit_stream stream) override;
  void rope(const svdit_rope_args &args, svdit_stream stream) override;
  void residual(const svdit_residual_args &args, svdit_stream stream) override;
  void convert(const svdit_convert_args &args, svdit_stream stream) override;

 private:
  // Calls rows_of(begin, end) for ranges that cover all rows, on several threads where the work is
  // worth waking them.
  template <typename F>
  void each_rows(int64_t rows, int64_t columns, F rows_of);

  const RowKernels &kernels_;
  const int threads_;
  const RunTasks run_tasks_;
  std::mutex library_mutex_;
  std::unique_ptr<MatmulLibrary> library_;
  std::atomic<MatmulLibrary *> opened_{nullptr};  // library_.get() once it is ready
};

}  // namespace svdit::cpu

#endif  // SVDIT_CPU_OPS_H_
