#include "test/sim/simulated_ops.h"

#include <utility>

#include "cuda/kernels/ops_clip.cuh"
#include "cuda/kernels/ops_each.cuh"
#include "cuda/kernels/ops_norm.cuh"
#include "cuda/kernels/ops_softmax.cuh"

namespace svdit::test {
namespace {

constexpr int kBlocks = 2, kResident = 2;  // of the kernels that any number of blocks will do for

template <std::size_t... kIndex>
sim::Report run(const cuda::NormLaunch &launch, uint64_t seed, std::index_sequence<kIndex...>) {
  using Kernel = void (*)(cuda::NormParams);
  constexpr Kernel kernels[] = {
      cuda::norm_rows<cuda::kNormShapes[kIndex].lanes, cuda::kNormShapes[kIndex].pieces>...};
  const cuda::NormShape shape = cuda::kNormShapes[launch.shape];
  return sim::launch({launch.blocks, shape.threads(),
                      static_cast<std::uint32_t>(shape.shared_bytes()), seed, kResident},
                     [&] { kernels[launch.shape](launch.params); });
}

template <class Params>
sim::Report run_each(void (*kernel)(Params), const Params &params, uint64_t seed) {
  return sim::launch({kBlocks, cuda::kEachThreads, 0, seed, kResident}, [&] { kernel(params); });
}

}  // namespace

sim::Report run(const cuda::NormLaunch &launch, uint64_t seed) {
  return run(launch, seed, std::make_index_sequence<cuda::kNormShapeCount>());
}
sim::Report run(const cuda::ConvertParams &params, uint64_t seed) {
  return run_each(cuda::convert_rows, params, seed);
}
sim::Report run(const cuda::ResidualParams &params, uint64_t seed) {
  return run_each(cuda::residual_rows, params, seed);
}
sim::Report run(const cuda::RopeParams &params, uint64_t seed) {
  return run_each(cuda::rope_rows, params, seed);
}
sim::Report run(const cuda::RopeHalvesParams &params, uint64_t seed) {
  return run_each(cuda::rope_halves_rows, params, seed);
}
sim::Report run(const cuda::MultiplyParams &params, uint64_t seed) {
  return run_each(cuda::multiply_rows, params, seed);
}
sim::Report run(const cuda::TransposeParams &params, uint64_t seed) {
  return run_each(cuda::transpose_rows, params, seed);
}
sim::Report run(const cuda::SoftmaxParams &params, uint64_t seed) {
  return sim::launch({params.rows, cuda::kEachThreads, cuda::kSoftmaxSharedBytes, seed, kResident},
                     [&] { cuda::softmax_rows(params); });
}

sim::Report run(const cuda::GatherParams &params, uint64_t seed) {
  return run_each(cuda::gather_places, params, seed);
}
sim::Report run(const cuda::SpreadParams &params, uint64_t seed) {
  return run_each(cuda::spread_rows, params, seed);
}
void run(const cuda::GroupNormLaunch &launch, uint64_t seed) {
  const auto groups = [&](int blocks, const auto &body) {
    sim::launch({blocks, cuda::kEachThreads, cuda::kGroupShared, seed, kResident}, body);
  };
  groups(launch.sum.groups * launch.sum.splits, [&] { cuda::group_sums(launch.sum); });
  groups(launch.fold.groups, [&] { cuda::group_fold(launch.fold); });
  run_each(cuda::affine_rows, launch.affine, seed);
}

}  // namespace svdit::test
