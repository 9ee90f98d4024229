// A plan whose attention runs the CUDA kernels' own source in the simulator.
#ifndef SVDIT_TEST_SIM_SIMULATED_H
#define SVDIT_TEST_SIM_SIMULATED_H

#include <memory>

#include "backend/backend.h"
#include "cuda/host/prepare.h"
#include "sim/machine.h"

namespace svdit::test {

// Which of the CUDA backend's attention kernels run.
// E4M3's are for plans of that type alone.
enum class Kernels { kSm80, kSm90, kE4m3 };

class SimulatedPlan : public svdit_plan {
 public:
  // Throws Error UNSUPPORTED as the CUDA backend does.
  explicit SimulatedPlan(const svdit_plan_desc &desc, uint64_t seed = 1,
                         Kernels kernels = Kernels::kSm80);

  uint64_t workspace_bytes(int32_t batch) const override;
  // stream is not looked at. Throws sim::Fault.
  void attention(const svdit_attention_args &args, svdit_stream stream) const override;
  uint64_t sweep_workspace_bytes(const svdit_sweep_args &args) const override;
  void sweep(const svdit_sweep_args &args, svdit_stream stream) const override;

  // As svdit_attention does it: checks args, fills in their defaults and brings a workspace, of
  // exactly the bytes the plan asks for.
  void run(svdit_attention_args args) const;

  // As svdit_sweep does it, likewise.
  void run_sweep(svdit_sweep_args args) const;

  mutable sim::Report attended, permuted, rounded, swept;  // what the last call's kernels did

 private:
  sim::Report round(const cuda::AttentionParams &params, const cuda::QuantisedHeads &heads) const;

  cuda::PlanTables tables_;
  cuda::PlanArrays arrays_;
  uint64_t seed_;
  Kernels kernels_;
};

// Dynamic shared memory of a block of the attention kernel for an element type, head dim and block.
int attention_shared_bytes(Kernels kernels, uint32_t type, int32_t head_dim, int32_t block);
int sweep_shared_bytes(int32_t head_dim, int32_t block);

}  // namespace svdit::test

#endif
