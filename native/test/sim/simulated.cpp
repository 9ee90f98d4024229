#include "test/sim/simulated.h"

#include <cstdlib>
#include <cstring>

#include "api_check.h"
#include "cuda/attention_sm80.cuh"
#include "cuda/permute.cuh"
#include "error.h"

namespace svdit::test {
namespace {

// Few blocks, so that each takes several items and the counter is fought over.
constexpr int kBlocks = 5, kResident = 3;

template <class Element, int kHeadDim, int kBlock>
sim::Report attend(const cuda::AttentionParams &params, uint64_t seed) {
  using Attention = cuda::AttentionSm80<Element, kHeadDim, kBlock>;
  return sim::launch({kBlocks, Attention::kThreads, Attention::kSharedBytes, seed, kResident},
                     [&] { cuda::attention_sm80<Element, kHeadDim, kBlock>(params); });
}

template <class Element>
sim::Report attend(const cuda::AttentionParams &params, int32_t head_dim, int32_t block,
                   uint64_t seed) {
  if (head_dim == 64) {
    return block == 64 ? attend<Element, 64, 64>(params, seed)
                       : attend<Element, 64, 128>(params, seed);
  }
  return block == 64 ? attend<Element, 128, 64>(params, seed)
                     : attend<Element, 128, 128>(params, seed);
}

void add(sim::Report &sum, const sim::Report &report) {
  sum.collectives += report.collectives;
  sum.shared_wavefronts += report.shared_wavefronts;
  sum.bank_conflicts += report.bank_conflicts;
  sum.async_copies += report.async_copies;
}

}  // namespace

SimulatedPlan::SimulatedPlan(const svdit_plan_desc &desc, uint64_t seed)
    : svdit_plan(compile_plan(desc)), tables_(cuda::make_tables(plan)), seed_(seed) {
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
    add(attended, plan.element_type == SVDIT_BF16
                      ? attend<cuda::Bf16>(params, plan.head_dim, plan.layout.block, seed_)
                      : attend<cuda::Fp16>(params, plan.head_dim, plan.layout.block, seed_));
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

int attention_shared_bytes(uint32_t type, int32_t head_dim, int32_t block) {
  const auto of = [&]<class Element>(Element) {
    if (head_dim == 64) {
      return block == 64 ? cuda::AttentionSm80<Element, 64, 64>::kSharedBytes
                         : cuda::AttentionSm80<Element, 64, 128>::kSharedBytes;
    }
    return block == 64 ? cuda::AttentionSm80<Element, 128, 64>::kSharedBytes
                       : cuda::AttentionSm80<Element, 128, 128>::kSharedBytes;
  };
  return type == SVDIT_BF16 ? of(cuda::Bf16{}) : of(cuda::Fp16{});
}

}  // namespace svdit::test
