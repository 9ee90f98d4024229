// The library itself: version, build, struct layouts.
#include <cstring>

#include "api/guard.h"

namespace svdit {

svdit_status report(svdit_status status, const char *message, svdit_error *error) noexcept {
  if (error == nullptr) return status;
  const size_t fixed = offsetof(svdit_error, message);
  size_t room =
      error->struct_bytes < sizeof(svdit_error) ? error->struct_bytes : sizeof(svdit_error);
  if (room <= fixed) return status;
  room -= fixed;
  size_t length = std::strlen(message);
  if (length >= room) {
    length = room - 1;
    // Cut between characters, not inside one.
    while (length > 0 && (message[length] & 0xC0) == 0x80) --length;
  }
  std::memcpy(error->message, message, length);
  error->message[length] = 0;
  return status;
}

namespace {

struct LayoutRow {
  const char *name;
  uint64_t offset, size;
};

#define STRUCT(s) \
  { #s, 0, sizeof(s) }
#define FIELD(s, f) \
  { #s "." #f, offsetof(s, f), sizeof(s::f) }

const LayoutRow kLayouts[] = {
    STRUCT(svdit_error),
    FIELD(svdit_error, struct_bytes),
    FIELD(svdit_error, reserved),
    FIELD(svdit_error, message),
    STRUCT(svdit_layout_entry),
    FIELD(svdit_layout_entry, struct_bytes),
    FIELD(svdit_layout_entry, reserved),
    FIELD(svdit_layout_entry, name),
    FIELD(svdit_layout_entry, offset_bytes),
    FIELD(svdit_layout_entry, size_bytes),
    STRUCT(svdit_backend_options),
    FIELD(svdit_backend_options, struct_bytes),
    FIELD(svdit_backend_options, kind),
    FIELD(svdit_backend_options, device),
    FIELD(svdit_backend_options, threads),
    FIELD(svdit_backend_options, cpu_tier),
    FIELD(svdit_backend_options, reserved0),
    FIELD(svdit_backend_options, reserved),
    STRUCT(svdit_backend_info),
    FIELD(svdit_backend_info, struct_bytes),
    FIELD(svdit_backend_info, kind),
    FIELD(svdit_backend_info, device),
    FIELD(svdit_backend_info, threads),
    FIELD(svdit_backend_info, cpu_tier),
    FIELD(svdit_backend_info, compute_capability),
    FIELD(svdit_backend_info, multiprocessors),
    FIELD(svdit_backend_info, driver_version),
    FIELD(svdit_backend_info, runtime_version),
    FIELD(svdit_backend_info, reserved0),
    FIELD(svdit_backend_info, memory_bytes),
    FIELD(svdit_backend_info, memory_free_bytes),
    FIELD(svdit_backend_info, name),
    FIELD(svdit_backend_info, memory_used_bytes),
    FIELD(svdit_backend_info, memory_host_bytes),
    FIELD(svdit_backend_info, queue_waits),
    FIELD(svdit_backend_info, queue_wait_ns),
    STRUCT(svdit_sequence),
    FIELD(svdit_sequence, struct_bytes),
    FIELD(svdit_sequence, frames),
    FIELD(svdit_sequence, height),
    FIELD(svdit_sequence, width),
    FIELD(svdit_sequence, text),
    FIELD(svdit_sequence, text_first),
    FIELD(svdit_sequence, reserved),
    STRUCT(svdit_pattern),
    FIELD(svdit_pattern, struct_bytes),
    FIELD(svdit_pattern, mode),
    FIELD(svdit_pattern, order),
    FIELD(svdit_pattern, tile_t),
    FIELD(svdit_pattern, tile_h),
    FIELD(svdit_pattern, tile_w),
    FIELD(svdit_pattern, window),
    FIELD(svdit_pattern, blocks),
    FIELD(svdit_pattern, block_count),
    FIELD(svdit_pattern, list_offsets),
    FIELD(svdit_pattern, list_count),
    FIELD(svdit_pattern, reserved),
    STRUCT(svdit_plan_desc),
    FIELD(svdit_plan_desc, struct_bytes),
    FIELD(svdit_plan_desc, element_type),
    FIELD(svdit_plan_desc, sequence),
    FIELD(svdit_plan_desc, key_tokens),
    FIELD(svdit_plan_desc, block),
    FIELD(svdit_plan_desc, heads),
    FIELD(svdit_plan_desc, head_dim),
    FIELD(svdit_plan_desc, reserved0),
    FIELD(svdit_plan_desc, patterns),
    FIELD(svdit_plan_desc, reserved),
    STRUCT(svdit_plan_info),
    FIELD(svdit_plan_info, struct_bytes),
    FIELD(svdit_plan_info, heads),
    FIELD(svdit_plan_info, groups),
    FIELD(svdit_plan_info, video_query_blocks),
    FIELD(svdit_plan_info, query_blocks),
    FIELD(svdit_plan_info, reserved0),
    FIELD(svdit_plan_info, query_tokens),
    FIELD(svdit_plan_info, key_tokens),
    FIELD(svdit_plan_info, bytes),
    FIELD(svdit_plan_info, reserved),
    STRUCT(svdit_run),
    FIELD(svdit_run, begin),
    FIELD(svdit_run, end),
    STRUCT(svdit_tensor),
    FIELD(svdit_tensor, data),
    FIELD(svdit_tensor, extent_bytes),
    FIELD(svdit_tensor, stride_batch),
    FIELD(svdit_tensor, stride_head),
    FIELD(svdit_tensor, stride_token),
    STRUCT(svdit_attention_args),
    FIELD(svdit_attention_args, struct_bytes),
    FIELD(svdit_attention_args, batch),
    FIELD(svdit_attention_args, q),
    FIELD(svdit_attention_args, k),
    FIELD(svdit_attention_args, v),
    FIELD(svdit_attention_args, out),
    FIELD(svdit_attention_args, lse),
    FIELD(svdit_attention_args, lse_bytes),
    FIELD(svdit_attention_args, text_valid),
    FIELD(svdit_attention_args, scale),
    FIELD(svdit_attention_args, head_begin),
    FIELD(svdit_attention_args, head_end),
    FIELD(svdit_attention_args, query_block_begin),
    FIELD(svdit_attention_args, query_block_end),
    FIELD(svdit_attention_args, launches),
    FIELD(svdit_attention_args, workspace),
    FIELD(svdit_attention_args, workspace_bytes),
    FIELD(svdit_attention_args, cancelled),
    FIELD(svdit_attention_args, reserved),
    STRUCT(svdit_sweep_args),
    FIELD(svdit_sweep_args, struct_bytes),
    FIELD(svdit_sweep_args, batch),
    FIELD(svdit_sweep_args, q),
    FIELD(svdit_sweep_args, k),
    FIELD(svdit_sweep_args, v),
    FIELD(svdit_sweep_args, text_valid),
    FIELD(svdit_sweep_args, scale),
    FIELD(svdit_sweep_args, rule),
    FIELD(svdit_sweep_args, order),
    FIELD(svdit_sweep_args, tile_t),
    FIELD(svdit_sweep_args, tile_h),
    FIELD(svdit_sweep_args, tile_w),
    FIELD(svdit_sweep_args, head_begin),
    FIELD(svdit_sweep_args, head_end),
    FIELD(svdit_sweep_args, query_block_count),
    FIELD(svdit_sweep_args, stop_count),
    FIELD(svdit_sweep_args, query_blocks),
    FIELD(svdit_sweep_args, stops),
    FIELD(svdit_sweep_args, first),
    FIELD(svdit_sweep_args, first_offsets),
    FIELD(svdit_sweep_args, gram),
    FIELD(svdit_sweep_args, error),
    FIELD(svdit_sweep_args, norm),
    FIELD(svdit_sweep_args, reference),
    FIELD(svdit_sweep_args, mass),
    FIELD(svdit_sweep_args, workspace),
    FIELD(svdit_sweep_args, workspace_bytes),
    FIELD(svdit_sweep_args, reserved),
    STRUCT(svdit_matrix),
    FIELD(svdit_matrix, data),
    FIELD(svdit_matrix, extent_bytes),
    FIELD(svdit_matrix, rows),
    FIELD(svdit_matrix, columns),
    FIELD(svdit_matrix, row_stride),
    FIELD(svdit_matrix, element_type),
    FIELD(svdit_matrix, reserved),
    STRUCT(svdit_linear_args),
    FIELD(svdit_linear_args, struct_bytes),
    FIELD(svdit_linear_args, activation),
    FIELD(svdit_linear_args, x),
    FIELD(svdit_linear_args, weight),
    FIELD(svdit_linear_args, bias),
    FIELD(svdit_linear_args, y),
    FIELD(svdit_linear_args, workspace),
    FIELD(svdit_linear_args, workspace_bytes),
    FIELD(svdit_linear_args, reserved),
    STRUCT(svdit_norm_args),
    FIELD(svdit_norm_args, struct_bytes),
    FIELD(svdit_norm_args, kind),
    FIELD(svdit_norm_args, x),
    FIELD(svdit_norm_args, y),
    FIELD(svdit_norm_args, weight),
    FIELD(svdit_norm_args, bias),
    FIELD(svdit_norm_args, scale),
    FIELD(svdit_norm_args, shift),
    FIELD(svdit_norm_args, group_columns),
    FIELD(svdit_norm_args, epsilon),
    FIELD(svdit_norm_args, activation),
    FIELD(svdit_norm_args, reserved),
    STRUCT(svdit_rope_args),
    FIELD(svdit_rope_args, struct_bytes),
    FIELD(svdit_rope_args, head_dim),
    FIELD(svdit_rope_args, x),
    FIELD(svdit_rope_args, cosine),
    FIELD(svdit_rope_args, sine),
    FIELD(svdit_rope_args, pairs),
    FIELD(svdit_rope_args, reserved0),
    FIELD(svdit_rope_args, reserved),
    STRUCT(svdit_residual_args),
    FIELD(svdit_residual_args, struct_bytes),
    FIELD(svdit_residual_args, reserved0),
    FIELD(svdit_residual_args, x),
    FIELD(svdit_residual_args, gate),
    FIELD(svdit_residual_args, y),
    FIELD(svdit_residual_args, reserved),
    STRUCT(svdit_convert_args),
    FIELD(svdit_convert_args, struct_bytes),
    FIELD(svdit_convert_args, activation),
    FIELD(svdit_convert_args, x),
    FIELD(svdit_convert_args, y),
    FIELD(svdit_convert_args, reserved),
    STRUCT(svdit_conv_args),
    FIELD(svdit_conv_args, struct_bytes),
    FIELD(svdit_conv_args, padding),
    FIELD(svdit_conv_args, x),
    FIELD(svdit_conv_args, earlier),
    FIELD(svdit_conv_args, before),
    FIELD(svdit_conv_args, weight),
    FIELD(svdit_conv_args, bias),
    FIELD(svdit_conv_args, y),
    FIELD(svdit_conv_args, frames),
    FIELD(svdit_conv_args, height),
    FIELD(svdit_conv_args, width),
    FIELD(svdit_conv_args, kernel_frames),
    FIELD(svdit_conv_args, kernel_height),
    FIELD(svdit_conv_args, kernel_width),
    FIELD(svdit_conv_args, stride_frames),
    FIELD(svdit_conv_args, stride_height),
    FIELD(svdit_conv_args, stride_width),
    FIELD(svdit_conv_args, pad_frames),
    FIELD(svdit_conv_args, pad_top),
    FIELD(svdit_conv_args, pad_bottom),
    FIELD(svdit_conv_args, pad_left),
    FIELD(svdit_conv_args, pad_right),
    FIELD(svdit_conv_args, repeat),
    FIELD(svdit_conv_args, repeat_frames),
    FIELD(svdit_conv_args, padding_frames),
    FIELD(svdit_conv_args, reserved0),
    FIELD(svdit_conv_args, workspace),
    FIELD(svdit_conv_args, workspace_bytes),
    FIELD(svdit_conv_args, reserved),
    STRUCT(svdit_group_norm_args),
    FIELD(svdit_group_norm_args, struct_bytes),
    FIELD(svdit_group_norm_args, activation),
    FIELD(svdit_group_norm_args, x),
    FIELD(svdit_group_norm_args, y),
    FIELD(svdit_group_norm_args, weight),
    FIELD(svdit_group_norm_args, bias),
    FIELD(svdit_group_norm_args, scale),
    FIELD(svdit_group_norm_args, shift),
    FIELD(svdit_group_norm_args, groups),
    FIELD(svdit_group_norm_args, epsilon),
    FIELD(svdit_group_norm_args, frames),
    FIELD(svdit_group_norm_args, height),
    FIELD(svdit_group_norm_args, width),
    FIELD(svdit_group_norm_args, map_frames),
    FIELD(svdit_group_norm_args, map_height),
    FIELD(svdit_group_norm_args, map_width),
    FIELD(svdit_group_norm_args, workspace),
    FIELD(svdit_group_norm_args, workspace_bytes),
    FIELD(svdit_group_norm_args, reserved),
    STRUCT(svdit_spread_args),
    FIELD(svdit_spread_args, struct_bytes),
    FIELD(svdit_spread_args, frames),
    FIELD(svdit_spread_args, height),
    FIELD(svdit_spread_args, width),
    FIELD(svdit_spread_args, x),
    FIELD(svdit_spread_args, y),
    FIELD(svdit_spread_args, factor_frames),
    FIELD(svdit_spread_args, factor),
    FIELD(svdit_spread_args, first),
    FIELD(svdit_spread_args, reserved0),
    FIELD(svdit_spread_args, reserved),
    STRUCT(svdit_softmax_args),
    FIELD(svdit_softmax_args, struct_bytes),
    FIELD(svdit_softmax_args, scale),
    FIELD(svdit_softmax_args, x),
    FIELD(svdit_softmax_args, bias),
    FIELD(svdit_softmax_args, y),
    FIELD(svdit_softmax_args, valid),
    FIELD(svdit_softmax_args, first_row),
    FIELD(svdit_softmax_args, group),
    FIELD(svdit_softmax_args, reserved),
    STRUCT(svdit_multiply_args),
    FIELD(svdit_multiply_args, struct_bytes),
    FIELD(svdit_multiply_args, reserved0),
    FIELD(svdit_multiply_args, a),
    FIELD(svdit_multiply_args, b),
    FIELD(svdit_multiply_args, y),
    FIELD(svdit_multiply_args, reserved),
    STRUCT(svdit_transpose_args),
    FIELD(svdit_transpose_args, struct_bytes),
    FIELD(svdit_transpose_args, reserved0),
    FIELD(svdit_transpose_args, x),
    FIELD(svdit_transpose_args, y),
    FIELD(svdit_transpose_args, reserved),
};

#undef STRUCT
#undef FIELD

constexpr uint32_t kLayoutCount = sizeof kLayouts / sizeof kLayouts[0];

}  // namespace
}  // namespace svdit

using namespace svdit;

uint32_t svdit_abi_version(void) { return SVDIT_ABI_VERSION; }

const char *svdit_header_hash(void) { return SVDIT_HEADER_HASH; }

const char *svdit_build_description(void) {
  return "Sparse-vDiT " SVDIT_VERSION ", " __VERSION__
         ", CPU tiers"
#define SVDIT_TIER(code, name, attention, rows, present) " " name
#include "cpu/tiers.def"
#undef SVDIT_TIER
         ", "
#if SVDIT_WITH_CUDA
         "CUDA built in";
#else
         "CUDA not built in";
#endif
}

uint32_t svdit_layout_count(void) { return kLayoutCount; }

svdit_status svdit_layout(uint32_t index, svdit_layout_entry *entry, svdit_error *error) {
  return guarded(error, [&] {
    require_struct(entry, "svdit_layout_entry");
    if (index >= kLayoutCount) {
      fail(SVDIT_INVALID_ARGUMENT, "index is %u, there are %u layout entries", index, kLayoutCount);
    }
    const LayoutRow &row = kLayouts[index];
    std::memset(entry->name, 0, sizeof entry->name);
    std::strncpy(entry->name, row.name, sizeof entry->name - 1);
    entry->offset_bytes = row.offset;
    entry->size_bytes = row.size;
  });
}
