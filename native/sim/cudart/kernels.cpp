// Every kernel that the CUDA backend launches, with the types of its arguments. A new kernel needs
// a line here.
#include "sim/cudart/kernels.h"

#include <map>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/key_maps.h"
#include "cuda/kernels/ops_params.h"
#include "cuda/kernels/params.h"
#include "cuda/kernels/quantised.h"
#include "cuda/kernels/sweep_params.h"

namespace svdit::sim {
namespace {

struct Table {
  Table();
  template <class... Arguments>
  void add(const void *function) {
    kernels[function] = takes<Arguments...>(function);
  }
  std::map<const void *, Kernel> kernels;
};

Table::Table() {
  for (const uint32_t type : {SVDIT_BF16, SVDIT_FP16}) {
    for (const int32_t head_dim : {64, 128}) {
      for (const int32_t block : {64, 128}) {
        add<cuda::AttentionParams>(cuda::attention_kernel_sm80(type, head_dim, block).function);
        add<cuda::AttentionParams, cuda::KeyMaps>(
            cuda::attention_kernel_sm90(type, head_dim, block).function);
        add<cuda::SweepParams>(cuda::sweep_kernel_sm80(type, head_dim, block).function);
      }
    }
  }
  for (const int32_t head_dim : {64, 128}) {
    for (const int32_t block : {64, 128}) {
      add<cuda::AttentionParams, cuda::QuantisedHeads>(
          cuda::attention_kernel_sm90(SVDIT_E4M3, head_dim, block).function);
    }
    add<cuda::AttentionParams, cuda::QuantisedHeads>(cuda::quantise_kernel(head_dim).function);
  }
  add<cuda::PermuteParams>(cuda::permute_kernel().function);
  for (int shape = 0; shape < cuda::kNormShapeCount; ++shape)
    add<cuda::NormParams>(cuda::norm_kernel(shape));
  add<cuda::ConvertParams>(cuda::convert_kernel());
  add<cuda::ResidualParams>(cuda::residual_kernel());
  add<cuda::RopeParams>(cuda::rope_kernel());
  add<cuda::RopeHalvesParams>(cuda::rope_halves_kernel());
  add<cuda::MultiplyParams>(cuda::multiply_kernel());
  add<cuda::TransposeParams>(cuda::transpose_kernel());
  add<cuda::SoftmaxParams>(cuda::softmax_kernel());
  add<cuda::GatherParams>(cuda::gather_kernel());
  add<cuda::AffineParams>(cuda::affine_kernel());
  add<cuda::SpreadParams>(cuda::spread_kernel());
  add<cuda::GroupSumParams>(cuda::group_sum_kernel());
  add<cuda::GroupFoldParams>(cuda::group_fold_kernel());
  add<cuda::RopeHalvesParams>(cuda::rope_halves_kernel());
  add<cuda::MultiplyParams>(cuda::multiply_kernel());
  add<cuda::TransposeParams>(cuda::transpose_kernel());
  add<cuda::SoftmaxParams>(cuda::softmax_kernel());
}

}  // namespace

const Kernel *find_kernel(const void *function) {
  static const Table table;
  const auto found = table.kernels.find(function);
  return found == table.kernels.end() ? nullptr : &found->second;
}

}  // namespace svdit::sim
