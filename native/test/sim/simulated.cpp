#include "test/sim/simulated.h"

#include <cstdlib>
#include <cstring>

#include "api/check.h"
#include "base/error.h"
#include "cuda/host/sweep_call.h"
#include "cuda/kernels/attention_sm80.cuh"
#include "cuda/kernels/attention_sm90.cuh"
#include "cuda/kernels/permute.cuh"
#include "cuda/kernels/quantise_e4m3.cuh"
#include "cuda/kernels/sweep_sm80.cuh"

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
  static std::function<void()> call(const cuda::AttentionParams &params,
                                    const cuda::QuantisedHeads &) {
    return [&params] { cuda::attention_sm80<ElementType, kHeadDim, kBlock>(params); };
  }
};

template <class ElementType>
struct Sm90 {
  template <int kHeadDim, int kBlock>
  using Kernel = cuda::ShapeSm90<ElementType, kHeadDim, kBlock>;
  template <int kHeadDim, int kBlock>
  static std::function<void()> call(const cuda::AttentionParams &params,
                                    const cuda::QuantisedHeads &) {
    const auto maps = std::make_shared<cuda::KeyMaps>(
        cuda::make_key_maps(params, kHeadDim, Kernel<kHeadDim, kBlock>::kTile));
    return [&params, maps] { cuda::attention_sm90<Kernel<kHeadDim, kBlock>>(params, *maps); };
  }
};

struct E4m3 {
  template <int kHeadDim, int kBlock>
  using Kernel = cuda::ShapeE4m3<kHeadDim, kBlock>;
  template <int kHeadDim, int kBlock>
  static std::function<void()> call(const cuda::AttentionParams &params,
                                    const cuda::QuantisedHeads &heads) {
    return [&] { cuda::attention_sm90<Kernel<kHeadDim, kBlock>>(params, heads); };
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
  if (kernels == Kernels::kE4m3) return with_shape<E4m3>(head_dim, block, visit);
  if (kernels == Kernels::kSm80) {
    return type == SVDIT_BF16 ? with_shape<Sm80<cuda::Bf16>>(head_dim, block, visit)
                              : with_shape<Sm80<cuda::Fp16>>(head_dim, block, visit);
  }
  return type == SVDIT_BF16 ? with_shape<Sm90<cuda::Bf16Sm90>>(head_dim, block, visit)
                            : with_shape<Sm90<cuda::Fp16Sm90>>(head_dim, block, visit);
}

// Calls what(Element{}, integral constants of head dim and block) for the plan's kernel.
template <class What>
auto with_kernel(const Plan &plan, const What &what) {
  const auto with_block = [&](auto element, auto head_dim) {
    return plan.layout.block == 64 ? what(element, head_dim, std::integral_constant<int, 64>{})
                                   : what(element, head_dim, std::integral_constant<int, 128>{});
  };
  const auto with_dim = [&](auto element) {
    return plan.head_dim == 64 ? with_block(element, std::integral_constant<int, 64>{})
                               : with_block(element, std::integral_constant<int, 128>{});
  };
  return plan.tensor_type() == SVDIT_BF16 ? with_dim(cuda::Bf16{}) : with_dim(cuda::Fp16{});
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
  attended = permuted = rounded = {};
  std::memset(call.counters(), 0, cuda::kCounterBytes);
  cuda::PermuteParams permute;
  for (int i = 0; call.permute_launch(i, &permute); ++i) {
    add(permuted, sim::launch({3, cuda::kPermuteThreads, 0, seed_, kResident},
                              [&] { cuda::permute_keys(permute); }));
  }
  cuda::AttentionParams params;
  for (int i = 0; call.attention_launch(i, &params); ++i) {
    if (plan.element_type == SVDIT_E4M3) add(rounded, round(params, call.quantised()));
    add(attended,
        with_kernel(kernels_, plan.element_type, plan.head_dim, plan.layout.block,
                    [&]<class Family, int kHeadDim, int kBlock>() {
                      using Kernel = typename Family::template Kernel<kHeadDim, kBlock>;
                      return sim::launch(
                          {kBlocks, Kernel::kThreads, Kernel::kSharedBytes, seed_, kResident},
                          Family::template call<kHeadDim, kBlock>(params, call.quantised()));
                    }));
  }
}

sim::Report SimulatedPlan::round(const cuda::AttentionParams &params,
                                 const cuda::QuantisedHeads &heads) const {
  const sim::Launch launch{3, cuda::kQuantiseThreads, cuda::kQuantiseSharedBytes, seed_, kResident};
  return plan.head_dim == 64
             ? sim::launch(launch, [&] { cuda::quantise_e4m3<64>(params, heads); })
             : sim::launch(launch, [&] { cuda::quantise_e4m3<128>(params, heads); });
}

uint64_t SimulatedPlan::sweep_workspace_bytes(const svdit_sweep_args &args) const {
  return cuda::SweepCall(plan, args, kBlocks).workspace_bytes();
}

void SimulatedPlan::sweep(const svdit_sweep_args &args, svdit_stream) const {
  const cuda::SweepCall call(plan, args, kBlocks);
  const cuda::SweepParams params = call.params();
  const std::vector<char> inputs = call.inputs();
  std::memcpy(args.workspace, inputs.data(), inputs.size());
  swept = with_kernel(plan, [&](auto element, auto head_dim, auto block) {
    using Element = decltype(element);
    using Sweep = cuda::SweepSm80<Element, head_dim.value, block.value>;
    return sim::launch({call.blocks(), Sweep::kThreads, Sweep::kSharedBytes, seed_, kResident},
                       [&] { cuda::sweep_sm80<Element, head_dim.value, block.value>(params); });
  });
  for (const cuda::SweepCall::Result &result : call.results()) {
    std::memcpy(result.to, result.from, result.bytes);
  }
}

void SimulatedPlan::run_sweep(svdit_sweep_args args) const {
  args.workspace_bytes = sweep_workspace_bytes(check_sweep(*this, &args));
  const std::unique_ptr<void, decltype(&std::free)> workspace(
      std::aligned_alloc(16, (args.workspace_bytes + 15) / 16 * 16), &std::free);
  std::memset(workspace.get(), 0xff, args.workspace_bytes);
  args.workspace = workspace.get();
  const svdit_sweep_args checked = check_sweep(*this, &args);
  check_sweep_workspace(*this, checked);
  sweep(checked, nullptr);
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

int sweep_shared_bytes(int32_t head_dim, int32_t block) {
  if (head_dim == 64) {
    return block == 64 ? cuda::SweepSm80<cuda::Bf16, 64, 64>::kSharedBytes
                       : cuda::SweepSm80<cuda::Bf16, 64, 128>::kSharedBytes;
  }
  return block == 64 ? cuda::SweepSm80<cuda::Bf16, 128, 64>::kSharedBytes
                     : cuda::SweepSm80<cuda::Bf16, 128, 128>::kSharedBytes;
}

}  // namespace svdit::test
