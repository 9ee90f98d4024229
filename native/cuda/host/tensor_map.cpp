// The driver's tensor maps. The entry point is asked of the driver when it is first needed, so that
// the library loads where there is none.
#include "cuda/ptx/tensor_map.h"

#include <cuda.h>
#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <cstring>

#include "base/error.h"
#include "cuda/host/device.h"

namespace svdit::cuda {
namespace {

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) &&
              alignof(TensorMap) >= alignof(CUtensorMap));

PFN_cuTensorMapEncodeTiled_v12000 find_encoder() {
  void *function = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                         cudaEnableDefault, &found),
        "cudaGetDriverEntryPointByVersion(cuTensorMapEncodeTiled)");
  if (found != cudaDriverEntryPointSuccess || function == nullptr) {
    fail(SVDIT_UNSUPPORTED, "the NVIDIA driver has no cuTensorMapEncodeTiled");
  }
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

}  // namespace

TensorMap encode_tensor_map(const TensorShape &shape) {
  check_tensor_shape(shape);
  static const auto encode = find_encoder();
  cuuint64_t strides[5];
  const cuuint32_t ones[5] = {1, 1, 1, 1, 1};
  cuuint64_t extents[5];
  for (std::uint32_t i = 0; i < shape.rank; ++i) {
    extents[i] = shape.extent[i];
    strides[i] = shape.stride[i];
  }
  CUtensorMap map;
  const CUresult result = encode(
      &map,
      shape.element_bytes == 1 ? CU_TENSOR_MAP_DATA_TYPE_UINT8 : CU_TENSOR_MAP_DATA_TYPE_UINT16,
      shape.rank, const_cast<void *>(shape.data), extents, strides + 1, shape.box, ones,
      CU_TENSOR_MAP_INTERLEAVE_NONE,
      shape.swizzle == Swizzle::k128  ? CU_TENSOR_MAP_SWIZZLE_128B
      : shape.swizzle == Swizzle::k64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                      : CU_TENSOR_MAP_SWIZZLE_NONE,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    fail(SVDIT_DEVICE_ERROR, "cuTensorMapEncodeTiled: error %d", static_cast<int>(result));
  }
  TensorMap opaque;
  std::memcpy(&opaque, &map, sizeof map);
  return opaque;
}

}  // namespace svdit::cuda
