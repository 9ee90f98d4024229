#include "test/sim/simulated.h"

#include <cstdlib>
#include <cstring>

#include "api_check.h"
#include "cuda/attention_sm80.cuh"
#include "cuda/attention_sm90.cuh"
#include "cuda/permute.cuh"
#include "error.h"

namespace svdit::test {
namespace {

// Few blocks, so that each takes several items and the counter is fought over.
constexpr int kBlocks = 5, kResident = 3;

// The kernels of one compute capability, for an element type.
template <class ElementType>
struct Sm80 {
  template <int kHeadDim, int kBlock>
  using Kernel = cuda::AttentionSm80<ElementType, kHeadDim, kBlock>;
  template <int kHeadDim, int kBlock>
  static std::function<void()> call(const cuda::AttentionParams &params) {
    return [&params] { cuda::attention_sm80<ElementType, kHeadDim, kBlock>(params); };
  }
};

template <class ElementType>
struct Sm90 {
  template <int kHeadDim, int kBlock>
  using Kernel = cuda::ShapeSm90<ElementType, kHeadDim, kBlock>;
  template <int kHeadDim, int kBlock>
  static std::function<void()> call(const cuda::AttentionParams &params) {
    const auto maps = std::make_shared<cuda::KeyMaps>(
        cuda::make_key_maps(params, kHeadDim, Kernel<kHeadDim, kBlock>::kTile));
    return [&params, maps] { cuda::attention_sm90<ElementType, kHeadDim, kBlock>(params, *maps); };
  }
};

// Calls visit.operator()<Family, kHeadDim, kBlock>().
template <class Family, class Visit>
auto with_shape(int32_t head_dim, int32_t block, const Visit &visit) {
  if (head_dim == 64) {
    return block == 64 ? visit.template operator()<Family, 64, 64>()
                       : visit.template operator()<Family, 64, 128>();
  }
  return block == 64 ? visit.template operator()<Family, 128, 64>()
                     : visit.template operator()<Family, 128, 128>();
}
template <class Visit>
auto with_kernel(Kernels kernels, uint32_t type, int32_t head_dim, int32_t block,
                 const Visit &visit) {
  if (kernels == Kernels::kSm80) {
    return type == SVDIT_BF16 ? with_shape<Sm80<cuda::Bf16>>(head_dim, block, visit)
                              : with_shape<Sm80<cuda::Fp16>>(head_dim, block, visit);
  }
  return type == SVDIT_BF16 ? with_shape<Sm90<cuda::Bf16Sm90>>(head_dim, block, visit)
                            : with_shape<Sm90<cuda::Fp16Sm90>>(head_dim, block, visit);
}

void add(sim::Report &sum, const sim::Report &report) {
  sum.collectives += report.collectives;
  sum.shared_wavefronts += report.shared_wavefronts;
  sum.bank_conflicts += report.bank_conflicts;
  sum.async_copies += report.async_copies;
}

}  // namespace

SimulatedPlan::SimulatedPlan(const svdit_plan_desc &desc, uint64_t seed, Kernels kernels)
    : svdit_plan(compile_plan(desc)),
      tables_(cuda::make_tables(plan)),
      seed_(seed),
      kernels_(kernels) {
  arrays_ = {plan.heads.data(), tables_.head_orders.data(), plan.arrays(), tables_.stored.data()};
}

uint64_t SimulatedPlan::workspace_bytes(int32_t batch) const {
  return cuda::workspace_bytes(plan, tables_, batch);
}

void SimulatedPlan::attention(const svdit_attention_args &args, svdit_stream) const {
  const cuda::Call call(plan, tables_, arrays_, args);
  attended = permuted = {};
  std::memset(call.counters(), 0, cuda::kCounterBytes);
  cuda::PermuteParams permute;
  for (int i = 0; call.permute_launch(i, &permute); ++i) {
    add(permuted, sim::launch({3, cuda::kPermuteThreads, 0, seed_, kResident},
                              [&] { cuda::permute_keys(permute); }));
  }
  cuda::AttentionParams params;
  for (int i = 0; call.attention_launch(i, &params); ++i) {
    add(attended, with_kernel(kernels_, plan.element_type, plan.head_dim, plan.layout.block,
                              [&]<class Family, int kHeadDim, int kBlock>() {
                                using Kernel = typename Family::template Kernel<kHeadDim, kBlock>;
                                return sim::launch({kBlocks, Kernel::kThreads, Kernel::kSharedBytes,
                                                    seed_, kResident},
                                                   Family::template call<kHeadDim, kBlock>(params));
                              }));
  }
}

void SimulatedPlan::sweep(const svdit_sweep_args &, svdit_stream) const {
  fail(SVDIT_UNSUPPORTED, "the simulator has no sweep");
}

void SimulatedPlan::run(svdit_attention_args args) const {
  args.workspace_bytes = workspace_bytes(args.batch);
  const std::unique_ptr<void, decltype(&std::free)> workspace(
      std::aligned_alloc(16, (args.workspace_bytes + 15) / 16 * 16), &std::free);
  std::memset(workspace.get(), 0xff, args.workspace_bytes);
  args.workspace = workspace.get();
  attention(check_attention(*this, &args), nullptr);
}

int attention_shared_bytes(Kernels kernels, uint32_t type, int32_t head_dim, int32_t block) {
  return with_kernel(kernels, type, head_dim, block,
                     []<class Family, int kHeadDim, int kBlock>() -> int {
                       return Family::template Kernel<kHeadDim, kBlock>::kSharedBytes;
                     });
}

}  // namespace svdit::test
