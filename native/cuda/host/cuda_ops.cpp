#include "cuda/host/cuda_ops.h"

#include <algorithm>

#include "backend/conv.h"
#include "base/error.h"
#include "cuda/host/device.h"
#include "cuda/kernels/kernels.h"

namespace svdit::cuda {
namespace {

// What NVIDIA advises for Hopper; smaller devices need less.
constexpr uint64_t kWorkspaceBytes = uint64_t{32} << 20;
constexpr int kBlocksPerProcessor = 8;  // of 256 threads: as many as are resident

void require_workspace(const void *workspace) {
  if (workspace == nullptr) fail(SVDIT_INVALID_ARGUMENT, "workspace is NULL; CUDA needs one");
  if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0)
    fail(SVDIT_INVALID_ARGUMENT, "workspace is not a multiple of 256 bytes");
}

}  // namespace

CudaOperations::CudaOperations(int device, int multiprocessors)
    : device_(device), multiprocessors_(multiprocessors) {
  const OnDevice on(device_);
  cudaFuncAttributes attributes;
  for (int shape = 0; shape < kNormShapeCount; ++shape)
    check(cudaFuncGetAttributes(&attributes, norm_kernel(shape)), "loading the norm kernels");
  for (const void *kernel :
       {convert_kernel(), residual_kernel(), rope_kernel(), rope_halves_kernel(), multiply_kernel(),
        transpose_kernel(), softmax_kernel(), gather_kernel(), affine_kernel(), spread_kernel(),
        group_sum_kernel(), group_fold_kernel()})
    check(cudaFuncGetAttributes(&attributes, kernel), "loading a denoiser's kernels");
}

CudaOperations::~CudaOperations() {
  try {
    const OnDevice on(device_);
    library_.reset();
    cudaFree(workspace_);  // waits for the products that use it
  } catch (const Error &) {
    // The context is lost, and the memory with it.
  }
}

void CudaOperations::open_matmul_library(const char *path) {
  const std::lock_guard lock(library_mutex_);
  if (opened_ != nullptr) {
    fail(SVDIT_INVALID_ARGUMENT, "this backend has a matrix library already (cuBLASLt %s)",
         library_->version().c_str());
  }
  const OnDevice on(device_);
  library_ = CublasLt::open(path);
  if (workspace_ == nullptr)
    check(cudaMalloc(&workspace_, kWorkspaceBytes), "allocating the products' workspace");
  opened_ = library_.get();
}

void CudaOperations::linear(const svdit_linear_args &args, svdit_stream stream) {
  CublasLt *library = opened_;
  if (library == nullptr)
    fail(SVDIT_UNAVAILABLE, "no matrix library: svdit_matmul_library was not called");
  const bool given = args.workspace != nullptr;
  if (given && reinterpret_cast<uintptr_t>(args.workspace) % 256 != 0)
    fail(SVDIT_INVALID_ARGUMENT, "workspace is not a multiple of 256 bytes");
  const OnDevice on(device_, stream);
  const CublasLt::Done done =
      library->product(args, given ? args.workspace : workspace_,
                       given ? args.workspace_bytes : kWorkspaceBytes, stream);
  // What cuBLASLt does not do itself takes one more pass over y.
  const uint32_t activation = done.gelu ? 0 : args.activation;
  const bool bias_left = args.bias.data != nullptr && !done.bias;
  if (activation == SVDIT_ACTIVATION_NONE && !bias_left) return;
  launch_each(convert_kernel(),
              prepare_bias(args.y, bias_left ? args.bias : svdit_matrix{}, activation), stream);
}

void CudaOperations::norm(const svdit_norm_args &args, svdit_stream stream) {
  launch(prepare_norm(args), stream);
}

void CudaOperations::residual_norm(const svdit_residual_args &first, const svdit_norm_args &second,
                                   svdit_stream stream) {
  NormLaunch both = prepare_norm(second);
  add_residual(first, &both);
  launch(both, stream);
}

void CudaOperations::norm_rope(const svdit_norm_args &first, const svdit_rope_args &second,
                               svdit_stream stream) {
  NormLaunch both = prepare_norm(first);
  const bool one_pass = add_rope(second, &both);
  launch(both, stream);
  if (!one_pass) rope(second, stream);
}

void CudaOperations::rope(const svdit_rope_args &args, svdit_stream stream) {
  if (args.pairs == SVDIT_PAIRS_HALVES) {
    launch_each(rope_halves_kernel(), prepare_rope_halves(args), stream);
  } else {
    launch_each(rope_kernel(), prepare_rope(args), stream);
  }
}

void CudaOperations::residual(const svdit_residual_args &args, svdit_stream stream) {
  launch_each(residual_kernel(), prepare_residual(args), stream);
}

void CudaOperations::convert(const svdit_convert_args &args, svdit_stream stream) {
  launch_each(convert_kernel(), prepare_convert(args), stream);
}

// Gathers what the kernel sees at some places, multiplies that with the weights, and goes on to the
// next ones.
void CudaOperations::conv(const svdit_conv_args &args, svdit_stream stream) {
  require_workspace(args.workspace);
  svdit_linear_args product{};
  product.struct_bytes = sizeof product;
  product.x = args.x;
  product.weight = args.weight;
  product.bias = args.bias;
  product.y = args.y;
  // The product's own workspace is the second half.
  const uint64_t half = args.workspace_bytes / 2 / 256 * 256;
  char *const gathered = static_cast<char *>(args.workspace);
  product.workspace = gathered + half;
  product.workspace_bytes = half;
  if (is_product(args)) {
    linear(product, stream);
    return;
  }
  const int64_t at_once = places_at_once(args, half);
  product.x.data = gathered;
  product.x.columns = product.x.row_stride = args.weight.columns;
  product.x.extent_bytes = half;
  const int64_t y_row = args.y.row_stride * (args.y.element_type == SVDIT_FP32 ? 4 : 2);
  for (int64_t first = 0; first < args.y.rows; first += at_once) {
    const int64_t places = std::min(at_once, args.y.rows - first);
    launch_each(gather_kernel(), prepare_gather(args, gathered, first, places), stream);
    product.x.rows = product.y.rows = places;
    product.y.data = static_cast<char *>(args.y.data) + first * y_row;
    product.y.extent_bytes = args.y.extent_bytes - first * y_row;
    linear(product, stream);
  }
}

void CudaOperations::group_norm(const svdit_group_norm_args &args, svdit_stream stream) {
  require_workspace(args.workspace);
  const GroupNormLaunch launch = prepare_group_norm(args);
  launch_groups(group_sum_kernel(), int64_t{launch.sum.groups} * launch.sum.splits, launch.sum,
                stream);
  launch_groups(group_fold_kernel(), launch.fold.groups, launch.fold, stream);
  launch_each(affine_kernel(), launch.affine, stream);
}

void CudaOperations::spread(const svdit_spread_args &args, svdit_stream stream) {
  launch_each(spread_kernel(), prepare_spread(args), stream);
}

void CudaOperations::multiply(const svdit_multiply_args &args, svdit_stream stream) {
  launch_each(multiply_kernel(), prepare_multiply(args), stream);
}

void CudaOperations::transpose(const svdit_transpose_args &args, svdit_stream stream) {
  launch_each(transpose_kernel(), prepare_transpose(args), stream);
}

void CudaOperations::softmax(const svdit_softmax_args &args, svdit_stream stream) {
  SoftmaxParams params = prepare_softmax(args);
  const OnDevice on(device_, stream);
  void *arguments[] = {&params};
  check(cudaLaunchKernel(softmax_kernel(), dim3(static_cast<unsigned>(params.rows)),
                         dim3(kEachThreads), arguments, kSoftmaxSharedBytes,
                         static_cast<cudaStream_t>(stream)),
        "launching a softmax");
}

void CudaOperations::launch(const NormLaunch &launch, svdit_stream stream) const {
  const OnDevice on(device_, stream);
  const NormShape shape = kNormShapes[launch.shape];
  NormParams params = launch.params;
  void *arguments[] = {&params};
  check(cudaLaunchKernel(norm_kernel(launch.shape), dim3(static_cast<unsigned>(launch.blocks)),
                         dim3(static_cast<unsigned>(shape.threads())), arguments,
                         static_cast<size_t>(shape.shared_bytes()),
                         static_cast<cudaStream_t>(stream)),
        "launching a norm");
}

template <class Params>
void CudaOperations::launch_groups(const void *kernel, int64_t blocks, Params params,
                                   svdit_stream stream) const {
  const OnDevice on(device_, stream);
  void *arguments[] = {&params};
  check(cudaLaunchKernel(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kEachThreads),
                         arguments, kGroupShared, static_cast<cudaStream_t>(stream)),
        "launching a group norm");
}

template <class Params>
void CudaOperations::launch_each(const void *kernel, Params params, svdit_stream stream) const {
  const OnDevice on(device_, stream);
  const auto blocks =
      std::min<uint32_t>((params.pieces + kEachThreads - 1) / kEachThreads,
                         static_cast<uint32_t>(multiprocessors_) * kBlocksPerProcessor);
  void *arguments[] = {&params};
  check(cudaLaunchKernel(kernel, dim3(blocks), dim3(kEachThreads), arguments, 0,
                         static_cast<cudaStream_t>(stream)),
        "launching a denoiser's kernel");
}

}  // namespace svdit::cuda
