#include "cuda/kernels/key_maps.h"

#include "base/error.h"

namespace svdit::cuda {
namespace {

// The tokens of a segment, of all heads and batch rows of a view of 16-bit elements. name: of the
// tensor, for messages.
SegmentMaps maps_of(const char *name, const View &view, const Run &segment, int32_t heads,
                    int32_t batch, int32_t head_dim, int32_t tile_keys) {
  TensorShape shape{};
  shape.data = view.row(0, 0, segment.begin);
  shape.rank = 4;
  shape.element_bytes = 2;
  const uint64_t extents[] = {static_cast<uint64_t>(head_dim),
                              static_cast<uint64_t>(segment.end - segment.begin),
                              static_cast<uint64_t>(heads), static_cast<uint64_t>(batch)};
  const int64_t strides[] = {2, view.token_stride, view.head_stride, view.batch_stride};
  const char *const dimensions[] = {"element", "token", "head", "batch"};
  for (int i = 0; i < 4; ++i) {
    // The driver's rules for tensor maps do not say what a stride of 0 is.
    if (extents[i] > 1 && strides[i] == 0) {
      fail(SVDIT_UNSUPPORTED,
           "%s: stride_%s is 0 over %llu of them, which the Hopper kernel does not take: give each "
           "its own rows, or set SVDIT_CUDA_KERNELS=sm80",
           name, dimensions[i], (unsigned long long)extents[i]);
    }
    shape.extent[i] = extents[i];
    // No step is taken along a dimension of one, so a caller may say anything for it.
    shape.stride[i] = extents[i] == 1 ? 16 : static_cast<uint64_t>(strides[i]);
    shape.box[i] = 1;
  }
  shape.swizzle = Swizzle::k128;
  shape.box[0] = 64;
  SegmentMaps maps;
  shape.box[1] = static_cast<uint32_t>(tile_keys);
  maps.tile = encode_tensor_map(shape);
  shape.box[1] = kPieceKeys;
  maps.piece = encode_tensor_map(shape);
  return maps;
}

}  // namespace

KeyMaps make_key_maps(const AttentionParams &params, int32_t head_dim, int32_t tile_keys) {
  KeyMaps maps{};
  const Layout &layout = params.layout;
  for (int value = 0; value < 2; ++value) {
    const View &view = value == 0 ? params.k : params.v;
    const char *const name = value == 0 ? "k" : "v";
    if (layout.key_video > 0) {
      maps.video[value] = maps_of(name, view, layout.key_video_run(), params.plan_heads,
                                  params.batch, head_dim, tile_keys);
    }
    if (layout.key_text > 0) {
      maps.text[value] = maps_of(name, view, layout.key_text_run(), params.plan_heads, params.batch,
                                 head_dim, tile_keys);
    }
  }
  const PermutedKeys &permuted = params.permuted;
  if (permuted.slots > 0) {
    const View view{permuted.data, 2 * permuted.slots * permuted.bytes, permuted.bytes,
                    head_dim * 2};
    maps.permuted = maps_of("k, v", view, layout.key_video_run(), 2 * permuted.slots, params.batch,
                            head_dim, tile_keys);
  }
  return maps;
}

}  // namespace svdit::cuda
