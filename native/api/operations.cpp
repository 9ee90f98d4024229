// ABI entry points of a denoiser's other operations: argument checks, no arithmetic.
#include <cinttypes>
#include <utility>

#include "api/guard.h"
#include "backend/backend.h"
#include "backend/conv.h"
#include "base/error.h"

namespace svdit {
namespace {

constexpr int64_t kMaxExtent = int64_t{1}
                               << 40;  // of rows, columns and strides: products stay in range

uint64_t element_bytes(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }

const char *type_name(uint32_t type) {
  return type == SVDIT_BF16 ? "BF16" : type == SVDIT_FP16 ? "FP16" : "FP32";
}

Operations &operations_of(svdit_backend *backend) {
  require(backend, "backend");
  Operations *operations = backend->operations();
  if (operations == nullptr) {
    fail(SVDIT_UNSUPPORTED,
         "this backend computes attention only, not a denoiser's other operations");
  }
  return *operations;
}

// Bytes from the first element to the end of the last.
uint64_t span_bytes(const svdit_matrix &m) {
  return ((m.rows - 1) * m.row_stride + m.columns) * element_bytes(m.element_type);
}

void check_matrix(const svdit_matrix &m, const char *name) {
  if (m.data == nullptr) fail(SVDIT_INVALID_ARGUMENT, "%s.data is NULL", name);
  if (m.element_type > SVDIT_FP32) {
    fail(SVDIT_INVALID_ARGUMENT, "%s.element_type is %u; expected BF16 (0), FP16 (1) or FP32 (2)",
         name, m.element_type);
  }
  if (m.reserved != 0) fail(SVDIT_INVALID_ARGUMENT, "%s.reserved is not zero", name);
  if (m.rows < 1 || m.rows > kMaxExtent || m.columns < 1 || m.columns > kMaxExtent) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%s is [%" PRId64 ", %" PRId64 "]; expected at least one row and column", name, m.rows,
         m.columns);
  }
  if (m.row_stride < (m.rows == 1 ? 0 : m.columns) || m.row_stride > kMaxExtent ||
      (m.rows > 1 && m.row_stride > kMaxExtent * 1024 / m.rows)) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%s.row_stride is %" PRId64 "; expected at least its %" PRId64 " columns", name,
         m.row_stride, m.columns);
  }
  if (reinterpret_cast<uintptr_t>(m.data) % element_bytes(m.element_type) != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "%s.data is not aligned to its element type %s", name,
         type_name(m.element_type));
  }
  if (span_bytes(m) > m.extent_bytes) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%s needs %" PRIu64 " bytes ([%" PRId64 ", %" PRId64 "], row stride %" PRId64
         ") and has an extent of %" PRIu64,
         name, span_bytes(m), m.rows, m.columns, m.row_stride, m.extent_bytes);
  }
}

void check_shape(const svdit_matrix &m, const char *name, int64_t rows, int64_t columns) {
  check_matrix(m, name);
  if (m.rows != rows || m.columns != columns) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%s is [%" PRId64 ", %" PRId64 "]; expected [%" PRId64 ", %" PRId64 "]", name, m.rows,
         m.columns, rows, columns);
  }
}

void check_type(const svdit_matrix &m, const char *name, uint32_t type) {
  if (m.element_type != type) {
    fail(SVDIT_INVALID_ARGUMENT, "%s is %s; expected %s", name, type_name(m.element_type),
         type_name(type));
  }
}

void check_activation(uint32_t activation, uint32_t last, const char *expected) {
  if (activation > last)
    fail(SVDIT_INVALID_ARGUMENT, "activation is %u; expected %s", activation, expected);
}

void check_none_or_silu(uint32_t activation) {
  if (activation != SVDIT_ACTIVATION_NONE && activation != SVDIT_ACTIVATION_SILU)
    fail(SVDIT_INVALID_ARGUMENT, "activation is %u; expected NONE (0) or SILU (2)", activation);
}

bool overlap(const svdit_matrix &a, const svdit_matrix &b) {
  const auto a_begin = reinterpret_cast<uintptr_t>(a.data);
  const auto b_begin = reinterpret_cast<uintptr_t>(b.data);
  if (a_begin >= b_begin + span_bytes(b) || b_begin >= a_begin + span_bytes(a)) return false;
  // Columns of one wider matrix interleave without meeting.
  if (a.row_stride != b.row_stride || a.element_type != b.element_type) return true;
  const uint64_t row_bytes = a.row_stride * element_bytes(a.element_type);
  if (row_bytes == 0) return true;
  const uint64_t forward = b_begin >= a_begin
                               ? (b_begin - a_begin) % row_bytes
                               : (row_bytes - (a_begin - b_begin) % row_bytes) % row_bytes;
  return forward < a.columns * element_bytes(a.element_type) ||
         forward + b.columns * element_bytes(b.element_type) > row_bytes;
}

void check_apart(const svdit_matrix &y, const char *y_name, const svdit_matrix &x,
                 const char *x_name) {
  if (x.data != nullptr && overlap(y, x))
    fail(SVDIT_INVALID_ARGUMENT, "%s overlaps %s", y_name, x_name);
}

bool same_place(const svdit_matrix &x, const svdit_matrix &y) {
  return x.data == y.data && x.row_stride == y.row_stride && x.element_type == y.element_type;
}

void check_in_place(const svdit_matrix &y, const svdit_matrix &x) {
  if (!same_place(x, y) && overlap(x, y)) {
    fail(SVDIT_INVALID_ARGUMENT, "y overlaps x and is not the same matrix");
  }
}

// An optional fp32 row that applies to every row of x.
void check_row(const svdit_matrix &m, const char *name, int64_t columns) {
  if (m.data == nullptr) return;
  check_shape(m, name, 1, columns);
  check_type(m, name, SVDIT_FP32);
}

// The checks of a norm; gives the arguments with group_columns explicit.
svdit_norm_args checked(const svdit_norm_args *args) {
  require_struct(args, "svdit_norm_args");
  require_zero(args->reserved, 0, "svdit_norm_args");
  if (args->kind > SVDIT_NORM_RMS) {
    fail(SVDIT_INVALID_ARGUMENT, "kind is %u; expected LAYER (0) or RMS (1)", args->kind);
  }
  check_none_or_silu(args->activation);
  check_matrix(args->x, "x");
  const int64_t columns = args->x.columns;
  check_shape(args->y, "y", args->x.rows, columns);
  check_in_place(args->y, args->x);
  svdit_norm_args explicit_args = *args;
  if (args->group_columns == 0) explicit_args.group_columns = columns;
  const int64_t group = explicit_args.group_columns;
  if (group < 1 || columns % group != 0) {
    fail(SVDIT_INVALID_ARGUMENT,
         "group_columns is %" PRId64 ", which does not divide the %" PRId64 " columns", group,
         columns);
  }
  if (!(args->epsilon >= 0)) {
    fail(SVDIT_INVALID_ARGUMENT, "epsilon is %g; expected at least 0", args->epsilon);
  }
  for (const auto &[m, name] : {std::pair{&args->weight, "weight"}, {&args->bias, "bias"}}) {
    if (m->data != nullptr) check_shape(*m, name, 1, m->columns == group ? group : columns);
  }
  check_row(args->scale, "scale", columns);
  check_row(args->shift, "shift", columns);
  check_apart(args->y, "y", args->weight, "weight");
  check_apart(args->y, "y", args->bias, "bias");
  check_apart(args->y, "y", args->scale, "scale");
  check_apart(args->y, "y", args->shift, "shift");
  return explicit_args;
}

void check(const svdit_rope_args *args) {
  require_struct(args, "svdit_rope_args");
  require_zero(args->reserved, args->reserved0, "svdit_rope_args");
  if (args->pairs > SVDIT_PAIRS_HALVES) {
    fail(SVDIT_INVALID_ARGUMENT, "pairs is %u; expected INTERLEAVED (0) or HALVES (1)",
         args->pairs);
  }
  check_matrix(args->x, "x");
  if (args->head_dim < 2 || args->head_dim % 2 != 0 || args->x.columns % args->head_dim != 0) {
    fail(SVDIT_INVALID_ARGUMENT,
         "head_dim is %d; expected an even number that divides x's %" PRId64 " columns",
         args->head_dim, args->x.columns);
  }
  for (const auto &[m, name] : {std::pair{&args->cosine, "cosine"}, {&args->sine, "sine"}}) {
    check_shape(*m, name, args->x.rows, args->head_dim / 2);
    check_type(*m, name, SVDIT_FP32);
    check_apart(args->x, "x", *m, name);
  }
}

void check(const svdit_residual_args *args) {
  require_struct(args, "svdit_residual_args");
  require_zero(args->reserved, args->reserved0, "svdit_residual_args");
  check_matrix(args->x, "x");
  check_shape(args->y, "y", args->x.rows, args->x.columns);
  if (args->y.element_type != SVDIT_FP32) check_type(args->y, "y", args->x.element_type);
  check_row(args->gate, "gate", args->x.columns);
  check_in_place(args->y, args->x);
  check_apart(args->y, "y", args->gate, "gate");
}

// The norm's x is what the residual was added to.
void check_handed_on(const svdit_residual_args &residual, const svdit_norm_args &norm) {
  if (!same_place(residual.y, norm.x) || residual.y.rows != norm.x.rows ||
      residual.y.columns != norm.x.columns) {
    fail(SVDIT_INVALID_ARGUMENT, "norm.x is not the matrix residual.y");
  }
  if (!same_place(norm.y, residual.x)) check_apart(norm.y, "norm.y", residual.x, "residual.x");
  check_apart(norm.y, "norm.y", residual.gate, "residual.gate");
  check_apart(residual.y, "residual.y", norm.weight, "norm.weight");
  check_apart(residual.y, "residual.y", norm.bias, "norm.bias");
  check_apart(residual.y, "residual.y", norm.scale, "norm.scale");
  check_apart(residual.y, "residual.y", norm.shift, "norm.shift");
}

// The rope's x is rows of the norm's y.
void check_handed_on(const svdit_norm_args &norm, const svdit_rope_args &rope) {
  const svdit_matrix &y = norm.y, &x = rope.x;
  const auto from = reinterpret_cast<uintptr_t>(y.data), at = reinterpret_cast<uintptr_t>(x.data);
  const uint64_t row_bytes = y.row_stride * element_bytes(y.element_type);
  const uint64_t row = row_bytes == 0 || at < from ? 0 : (at - from) / row_bytes;
  const bool rows_of_it = x.element_type == y.element_type && x.columns == y.columns &&
                          (x.rows == 1 || x.row_stride == y.row_stride) &&
                          at == from + row * row_bytes && row + x.rows <= (uint64_t)y.rows;
  if (!rows_of_it) fail(SVDIT_INVALID_ARGUMENT, "rope.x is not rows of norm.y");
  if (rope.pairs != SVDIT_PAIRS_INTERLEAVED)
    fail(SVDIT_INVALID_ARGUMENT, "rope.pairs is %u; expected INTERLEAVED (0) after a norm",
         rope.pairs);
  check_apart(y, "norm.y", rope.cosine, "rope.cosine");
  check_apart(y, "norm.y", rope.sine, "rope.sine");
}

// ---- attention with a bias ----

void check(const svdit_softmax_args *a) {
  require_struct(a, "svdit_softmax_args");
  require_zero(a->reserved, 0, "svdit_softmax_args");
  check_matrix(a->x, "x");
  check_shape(a->y, "y", a->x.rows, a->x.columns);
  check_in_place(a->y, a->x);
  if (a->bias.data != nullptr) {
    check_shape(a->bias, "bias", a->x.rows, a->x.columns);
    check_type(a->bias, "bias", SVDIT_FP32);
    check_apart(a->y, "y", a->bias, "bias");
  }
  if (a->valid < 1 || a->valid > a->x.columns) {
    fail(SVDIT_INVALID_ARGUMENT, "valid is %" PRId64 "; expected 1 to x's %" PRId64 " columns",
         a->valid, a->x.columns);
  }
  if (a->group < 0 || a->first_row < 0 || (a->group == 0 && a->first_row != 0)) {
    fail(SVDIT_INVALID_ARGUMENT,
         "group is %" PRId64 " and first_row %" PRId64
         "; expected at least 0, and first_row 0 without a group",
         a->group, a->first_row);
  }
}

void check(const svdit_multiply_args *a) {
  require_struct(a, "svdit_multiply_args");
  require_zero(a->reserved, a->reserved0, "svdit_multiply_args");
  check_matrix(a->a, "a");
  check_shape(a->b, "b", a->a.rows, a->a.columns);
  check_shape(a->y, "y", a->a.rows, a->a.columns);
  check_in_place(a->y, a->a);
  check_in_place(a->y, a->b);
}

void check(const svdit_transpose_args *a) {
  require_struct(a, "svdit_transpose_args");
  require_zero(a->reserved, a->reserved0, "svdit_transpose_args");
  check_matrix(a->x, "x");
  check_shape(a->y, "y", a->x.columns, a->x.rows);
  check_type(a->y, "y", a->x.element_type);
  check_apart(a->y, "y", a->x, "x");
}

// ---- a video autoencoder's ----

void check_between(int32_t value, const char *name, int32_t least, int32_t most) {
  if (value < least || value > most) {
    fail(SVDIT_INVALID_ARGUMENT, "%s is %d; expected %d to %d", name, value, least, most);
  }
}

void check_clip(const svdit_matrix &m, const char *name, int64_t frames, int64_t height,
                int64_t width) {
  check_matrix(m, name);
  if (m.rows != frames * height * width) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%s has %" PRId64 " rows; expected %" PRId64 " frames x %" PRId64 " rows x %" PRId64
         " columns of pixels",
         name, m.rows, frames, height, width);
  }
}

void check_workspace(const void *workspace, uint64_t bytes) {
  if (workspace == nullptr && bytes != 0)
    fail(SVDIT_INVALID_ARGUMENT, "workspace is NULL and workspace_bytes %" PRIu64, bytes);
}

constexpr int32_t kMostPixels = 1 << 16;  // in any direction
constexpr int32_t kMostKernel = 64;

void check(const svdit_conv_args *a) {
  require_struct(a, "svdit_conv_args");
  require_zero(a->reserved, a->reserved0, "svdit_conv_args");
  for (const auto &[value, name] :
       {std::pair{a->frames, "frames"}, {a->height, "height"}, {a->width, "width"}}) {
    check_between(value, name, 1, kMostPixels);
  }
  for (const auto &[value, name] : {std::pair{a->kernel_frames, "kernel_frames"},
                                    {a->kernel_height, "kernel_height"},
                                    {a->kernel_width, "kernel_width"},
                                    {a->stride_frames, "stride_frames"},
                                    {a->stride_height, "stride_height"},
                                    {a->stride_width, "stride_width"}}) {
    check_between(value, name, 1, kMostKernel);
  }
  for (const auto &[value, name] : {std::pair{a->pad_frames, "pad_frames"},
                                    {a->pad_top, "pad_top"},
                                    {a->pad_bottom, "pad_bottom"},
                                    {a->pad_left, "pad_left"},
                                    {a->pad_right, "pad_right"}}) {
    check_between(value, name, 0, kMostKernel);
  }
  check_between(a->repeat, "repeat", 1, 2);
  check_between((int32_t)a->repeat_frames, "repeat_frames", 0, SVDIT_FRAMES_TWICE_BUT_FIRST);
  check_between((int32_t)a->padding, "padding", 0, SVDIT_PAD_REPLICATE);
  check_between((int32_t)a->padding_frames, "padding_frames", 0, SVDIT_PAD_REPLICATE);
  check_workspace(a->workspace, a->workspace_bytes);
  check_clip(a->x, "x", a->frames, a->height, a->width);
  if (a->earlier.data != nullptr && a->before.data == nullptr)
    fail(SVDIT_INVALID_ARGUMENT, "earlier is given and before, which lies between it and x, is not");
  if (a->before.data != nullptr && a->repeat_frames != SVDIT_FRAMES_ONCE)
    fail(SVDIT_INVALID_ARGUMENT, "before is given and repeat_frames is %u; expected ONCE (0)",
         a->repeat_frames);
  for (const auto &[m, name] : {std::pair{&a->earlier, "earlier"}, {&a->before, "before"}}) {
    if (m->data == nullptr) continue;
    check_shape(*m, name, int64_t{a->height} * a->width, a->x.columns);
    check_type(*m, name, a->x.element_type);
  }
  check_matrix(a->weight, "weight");
  check_shape(a->weight, "weight", a->weight.rows,
              int64_t{a->kernel_height} * a->kernel_width * a->kernel_frames * a->x.columns);
  check_type(a->weight, "weight", a->x.element_type);
  if (a->bias.data != nullptr) {
    check_shape(a->bias, "bias", 1, a->weight.rows);
    if (a->bias.element_type != SVDIT_FP32) check_type(a->bias, "bias", a->x.element_type);
  }
  const ConvPlaces places(*a);
  if (places.out_frames < 1 || places.out_height < 1 || places.out_width < 1) {
    fail(SVDIT_INVALID_ARGUMENT,
         "the kernel of %d x %d x %d does not fit into the padded %" PRId64 " x %" PRId64
         " x %" PRId64,
         a->kernel_frames, a->kernel_height, a->kernel_width, places.padded_frames,
         places.padded_height, places.padded_width);
  }
  check_clip(a->y, "y", places.out_frames, places.out_height, places.out_width);
  check_shape(a->y, "y", a->y.rows, a->weight.rows);
  if (a->y.element_type != SVDIT_FP32) check_type(a->y, "y", a->x.element_type);
  for (const auto &[m, name] : {std::pair{&a->x, "x"},
                                {&a->earlier, "earlier"},
                                {&a->before, "before"},
                                {&a->weight, "weight"},
                                {&a->bias, "bias"}}) {
    check_apart(a->y, "y", *m, name);
  }
}

void check(const svdit_group_norm_args *a) {
  require_struct(a, "svdit_group_norm_args");
  require_zero(a->reserved, 0, "svdit_group_norm_args");
  check_none_or_silu(a->activation);
  check_workspace(a->workspace, a->workspace_bytes);
  check_matrix(a->x, "x");
  const int64_t columns = a->x.columns;
  check_shape(a->y, "y", a->x.rows, columns);
  check_in_place(a->y, a->x);
  if (a->groups < 1 || columns % a->groups != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "groups is %d, which does not divide the %" PRId64 " channels",
         a->groups, columns);
  }
  if (!(a->epsilon >= 0))
    fail(SVDIT_INVALID_ARGUMENT, "epsilon is %g; expected at least 0", a->epsilon);
  for (const auto &[m, name] : {std::pair{&a->weight, "weight"}, {&a->bias, "bias"}}) {
    if (m->data != nullptr) check_shape(*m, name, 1, columns);
    check_apart(a->y, "y", *m, name);
  }
  const bool mapped = a->scale.data != nullptr;
  if (mapped != (a->shift.data != nullptr))
    fail(SVDIT_INVALID_ARGUMENT, "of scale and shift one is given; expected both or neither");
  for (const auto &[value, name] : {std::pair{a->frames, "frames"},
                                    {a->height, "height"},
                                    {a->width, "width"},
                                    {a->map_frames, "map_frames"},
                                    {a->map_height, "map_height"},
                                    {a->map_width, "map_width"}}) {
    check_between(value, name, mapped ? 1 : 0, mapped ? kMostPixels : 0);
  }
  if (!mapped) return;
  check_clip(a->x, "x", a->frames, a->height, a->width);
  for (const auto &[m, name] : {std::pair{&a->scale, "scale"}, {&a->shift, "shift"}}) {
    check_clip(*m, name, a->map_frames, a->map_height, a->map_width);
    check_shape(*m, name, m->rows, columns);
    check_apart(a->y, "y", *m, name);
  }
  check_type(a->shift, "shift", a->scale.element_type);
}

void check(const svdit_spread_args *a) {
  require_struct(a, "svdit_spread_args");
  require_zero(a->reserved, a->reserved0, "svdit_spread_args");
  for (const auto &[value, name] :
       {std::pair{a->frames, "frames"}, {a->height, "height"}, {a->width, "width"}}) {
    check_between(value, name, 1, kMostPixels);
  }
  check_between(a->factor_frames, "factor_frames", 1, 2);
  check_between(a->factor, "factor", 1, 2);
  check_between(a->first, "first", 0, a->factor_frames - 1);
  check_clip(a->x, "x", a->frames, a->height, a->width);
  check_matrix(a->y, "y");
  const int64_t frame = int64_t{a->height} * a->factor * a->width * a->factor;
  const int64_t most = int64_t{a->frames} * a->factor_frames - a->first;
  if (a->y.rows % frame != 0 || a->y.rows / frame > most) {
    fail(SVDIT_INVALID_ARGUMENT,
         "y has %" PRId64 " rows; expected those of 1 to %" PRId64 " frames of %" PRId64 " pixels",
         a->y.rows, most, frame);
  }
  if (a->y.element_type != SVDIT_FP32) check_type(a->y, "y", a->x.element_type);
  const int64_t parts = int64_t{a->factor_frames} * a->factor * a->factor;
  if (a->y.columns * parts % a->x.columns != 0) {
    fail(SVDIT_INVALID_ARGUMENT,
         "y has %" PRId64 " channels; expected that %" PRId64
         " times as many are a multiple of x's %" PRId64,
         a->y.columns, parts, a->x.columns);
  }
  check_apart(a->y, "y", a->x, "x");
}

}  // namespace
}  // namespace svdit

using namespace svdit;

svdit_status svdit_matmul_library(svdit_backend *backend, const char *path, svdit_error *error) {
  return guarded(error, [&] {
    require(path, "path");
    operations_of(backend).open_matmul_library(path);
  });
}

svdit_status svdit_linear(svdit_backend *backend, const svdit_linear_args *args,
                          svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require_struct(args, "svdit_linear_args");
    require_zero(args->reserved, 0, "svdit_linear_args");
    Operations &operations = operations_of(backend);
    check_activation(args->activation, SVDIT_ACTIVATION_SILU,
                     "NONE (0), GELU_TANH (1) or SILU (2)");
    check_matrix(args->x, "x");
    check_matrix(args->weight, "weight");
    check_type(args->weight, "weight", args->x.element_type);
    if (args->weight.columns != args->x.columns) {
      fail(SVDIT_INVALID_ARGUMENT, "weight has %" PRId64 " inputs and x %" PRId64 " columns",
           args->weight.columns, args->x.columns);
    }
    check_shape(args->y, "y", args->x.rows, args->weight.rows);
    if (args->y.element_type != SVDIT_FP32) check_type(args->y, "y", args->x.element_type);
    if (args->bias.data != nullptr) {
      check_shape(args->bias, "bias", 1, args->weight.rows);
      if (args->bias.element_type != SVDIT_FP32)
        check_type(args->bias, "bias", args->x.element_type);
    }
    check_apart(args->y, "y", args->x, "x");
    check_apart(args->y, "y", args->weight, "weight");
    check_apart(args->y, "y", args->bias, "bias");
    operations.linear(*args, stream);
  });
}

svdit_status svdit_norm(svdit_backend *backend, const svdit_norm_args *args, svdit_stream stream,
                        svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_norm_args");
    Operations &operations = operations_of(backend);
    operations.norm(checked(args), stream);
  });
}

svdit_status svdit_rope(svdit_backend *backend, const svdit_rope_args *args, svdit_stream stream,
                        svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_rope_args");
    Operations &operations = operations_of(backend);
    check(args);
    operations.rope(*args, stream);
  });
}

svdit_status svdit_residual(svdit_backend *backend, const svdit_residual_args *args,
                            svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_residual_args");
    Operations &operations = operations_of(backend);
    check(args);
    operations.residual(*args, stream);
  });
}

svdit_status svdit_residual_norm(svdit_backend *backend, const svdit_residual_args *residual,
                                 const svdit_norm_args *norm, svdit_stream stream,
                                 svdit_error *error) {
  return guarded(error, [&] {
    Operations &operations = operations_of(backend);
    check(residual);
    const svdit_norm_args explicit_norm = checked(norm);
    check_handed_on(*residual, explicit_norm);
    operations.residual_norm(*residual, explicit_norm, stream);
  });
}

svdit_status svdit_norm_rope(svdit_backend *backend, const svdit_norm_args *norm,
                             const svdit_rope_args *rope, svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    Operations &operations = operations_of(backend);
    const svdit_norm_args explicit_norm = checked(norm);
    check(rope);
    check_handed_on(explicit_norm, *rope);
    operations.norm_rope(explicit_norm, *rope, stream);
  });
}

svdit_status svdit_convert(svdit_backend *backend, const svdit_convert_args *args,
                           svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require_struct(args, "svdit_convert_args");
    require_zero(args->reserved, 0, "svdit_convert_args");
    Operations &operations = operations_of(backend);
    check_activation(args->activation, SVDIT_ACTIVATION_QUICK_GELU,
                     "NONE (0), GELU_TANH (1), SILU (2), GELU_ERF (3) or QUICK_GELU (4)");
    check_matrix(args->x, "x");
    check_shape(args->y, "y", args->x.rows, args->x.columns);
    check_in_place(args->y, args->x);
    operations.convert(*args, stream);
  });
}

svdit_status svdit_conv(svdit_backend *backend, const svdit_conv_args *args, svdit_stream stream,
                        svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_conv_args");
    Operations &operations = operations_of(backend);
    check(args);
    operations.conv(*args, stream);
  });
}

svdit_status svdit_group_norm(svdit_backend *backend, const svdit_group_norm_args *args,
                              svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_group_norm_args");
    Operations &operations = operations_of(backend);
    check(args);
    operations.group_norm(*args, stream);
  });
}

svdit_status svdit_spread(svdit_backend *backend, const svdit_spread_args *args,
                          svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_spread_args");
    Operations &operations = operations_of(backend);
    check(args);
    operations.spread(*args, stream);
  });
}

svdit_status svdit_softmax(svdit_backend *backend, const svdit_softmax_args *args,
                           svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_softmax_args");
    Operations &operations = operations_of(backend);
    check(args);
    operations.softmax(*args, stream);
  });
}

svdit_status svdit_multiply(svdit_backend *backend, const svdit_multiply_args *args,
                            svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_multiply_args");
    Operations &operations = operations_of(backend);
    check(args);
    operations.multiply(*args, stream);
  });
}

svdit_status svdit_transpose(svdit_backend *backend, const svdit_transpose_args *args,
                             svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(args, "svdit_transpose_args");
    Operations &operations = operations_of(backend);
    check(args);
    operations.transpose(*args, stream);
  });
}
