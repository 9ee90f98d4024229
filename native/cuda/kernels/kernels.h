// The kernels as the host launches them.
#ifndef SVDIT_CUDA_KERNELS_H
#define SVDIT_CUDA_KERNELS_H

#include <cstdint>

#include "svdit.h"

namespace svdit::cuda {

// Takes an AttentionParams, and KeyMaps (key_maps.h) where it has tile_keys; of E4M3 a
// QuantisedHeads (quantised.h).
struct AttentionKernel {
  const void *function;
  int threads;
  int shared_bytes;
  int item_rows;  // queries that a block of threads computes at once
  int tile_keys;  // rows of the tiles that KeyMaps bring; 0: it takes none
};

// Takes a SweepParams.
struct SweepKernel {
  const void *function;
  int threads;
  int shared_bytes;
};

// Takes a PermuteParams; any number of blocks.
struct PermuteKernel {
  const void *function;
  int threads;
};

// Takes an AttentionParams and a QuantisedHeads (quantised.h), which it fills; any number of
// blocks.
struct QuantiseKernel {
  const void *function;
  int threads;
  int shared_bytes;
};

// For BF16 and FP16, head dims 64 and 128, blocks 64 and 128.
AttentionKernel attention_kernel_sm80(uint32_t element_type, int32_t head_dim, int32_t block);
// Also for E4M3.
AttentionKernel attention_kernel_sm90(uint32_t element_type, int32_t head_dim, int32_t block);
QuantiseKernel quantise_kernel(int32_t head_dim);
SweepKernel sweep_kernel_sm80(uint32_t element_type, int32_t head_dim, int32_t block);
PermuteKernel permute_kernel();

// A denoiser's other operations (ops_params.h). A norm's takes NormParams; shape counts
// kNormShapes, which say how many threads and how much shared memory. The others take any number of
// blocks of kEachThreads.
const void *norm_kernel(int shape);
const void *convert_kernel();   // ConvertParams
const void *residual_kernel();  // ResidualParams
const void *rope_kernel();      // RopeParams
const void *gather_kernel();    // GatherParams
const void *affine_kernel();    // AffineParams
const void *spread_kernel();    // SpreadParams
// With kGroupShared bytes of shared memory; a block for each group and split, and for each group.
const void *group_sum_kernel();   // GroupSumParams
const void *group_fold_kernel();  // GroupFoldParams
const void *rope_halves_kernel();  // RopeHalvesParams
const void *multiply_kernel();     // MultiplyParams
const void *transpose_kernel();    // TransposeParams
// A softmax's takes SoftmaxParams, a block of kEachThreads for each row, and kSoftmaxSharedBytes.
const void *softmax_kernel();

}  // namespace svdit::cuda

#endif
