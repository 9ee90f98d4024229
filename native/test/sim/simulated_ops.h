// A denoiser's other operations by the CUDA kernels' own source, in the simulator.
#ifndef SVDIT_TEST_SIM_SIMULATED_OPS_H
#define SVDIT_TEST_SIM_SIMULATED_OPS_H

#include "cuda/host/ops_prepare.h"
#include "sim/machine.h"

namespace svdit::test {

// Each runs one launch to its end; throws sim::Fault.
sim::Report run(const cuda::NormLaunch &launch, uint64_t seed);
sim::Report run(const cuda::ConvertParams &params, uint64_t seed);
sim::Report run(const cuda::ResidualParams &params, uint64_t seed);
sim::Report run(const cuda::RopeParams &params, uint64_t seed);
sim::Report run(const cuda::GatherParams &params, uint64_t seed);
sim::Report run(const cuda::SpreadParams &params, uint64_t seed);
// Its three launches, one after the other.
void run(const cuda::GroupNormLaunch &launch, uint64_t seed);
sim::Report run(const cuda::RopeHalvesParams &params, uint64_t seed);
sim::Report run(const cuda::MultiplyParams &params, uint64_t seed);
sim::Report run(const cuda::TransposeParams &params, uint64_t seed);
sim::Report run(const cuda::SoftmaxParams &params, uint64_t seed);

}  // namespace svdit::test

#endif
