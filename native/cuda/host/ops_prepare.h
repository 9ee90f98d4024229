// From a denoiser's other operations as the ABI names them to what the kernels are given. Plain
// C++: the runtime uses it with device memory, the simulator with its own.
#ifndef SVDIT_CUDA_OPS_PREPARE_H
#define SVDIT_CUDA_OPS_PREPARE_H

#include "cuda/kernels/ops_params.h"
#include "svdit.h"

namespace svdit::cuda {

// A norm's launch: which of kNormShapes, and how many blocks.
struct NormLaunch {
  int shape;
  int blocks;
  NormParams params;
};

// Throws Error UNSUPPORTED for groups longer than the longest shape takes and for more rows than
// the kernel counts. args has passed the ABI's checks, with group_columns explicit.
NormLaunch prepare_norm(const svdit_norm_args &args);

// The same with what goes into the same pass: the residual that is added to the norm's x before
// (its y is the norm's x), the rotation of some of the norm's y after. False where the kernel
// cannot do both at once; launch is then left alone.
bool add_residual(const svdit_residual_args &residual, NormLaunch *launch);
bool add_rope(const svdit_rope_args &rope, NormLaunch *launch);

// Each throws Error UNSUPPORTED for more elements than the kernels count.
ConvertParams prepare_convert(const svdit_convert_args &args);
// y = activation(y + bias), in place.
ConvertParams prepare_bias(const svdit_matrix &y, const svdit_matrix &bias, uint32_t activation);
ResidualParams prepare_residual(const svdit_residual_args &args);
RopeParams prepare_rope(const svdit_rope_args &args);
SpreadParams prepare_spread(const svdit_spread_args &args);

// Gathers places first .. first + places - 1 of a convolution's output into `to`.
GatherParams prepare_gather(const svdit_conv_args &args, void *to, int64_t first, int64_t places);
// How many places are gathered at a time into so many bytes; throws INVALID_ARGUMENT where they are
// too few.
int64_t places_at_once(const svdit_conv_args &args, uint64_t bytes);

// The three launches of a group norm, which keep what they find in its workspace.
struct GroupNormLaunch {
  GroupSumParams sum;
  GroupFoldParams fold;
  AffineParams affine;
};
GroupNormLaunch prepare_group_norm(const svdit_group_norm_args &args);
RopeHalvesParams prepare_rope_halves(const svdit_rope_args &args);
MultiplyParams prepare_multiply(const svdit_multiply_args &args);
TransposeParams prepare_transpose(const svdit_transpose_args &args);
SoftmaxParams prepare_softmax(const svdit_softmax_args &args);

}  // namespace svdit::cuda

#endif
