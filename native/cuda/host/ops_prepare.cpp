#include "cuda/host/ops_prepare.h"

#include <cinttypes>

#include "base/error.h"

namespace svdit::cuda {
namespace {

constexpr int64_t kMaxPieces = INT32_MAX;  // 17 thousand million elements

int64_t element_bytes(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }

RowsView view_of(const svdit_matrix &m) {
  return {static_cast<char *>(m.data), m.row_stride * element_bytes(m.element_type),
          m.element_type};
}

RowVector vector_of(const svdit_matrix &m) {
  if (m.data == nullptr) return {};
  return {static_cast<const char *>(m.data), static_cast<int32_t>(m.columns), m.element_type};
}

const float *floats_of(const svdit_matrix &m) { return static_cast<const float *>(m.data); }

// Whether every row of m begins at a multiple of 16 bytes; what is absent does not disturb.
bool aligned(const svdit_matrix &m) {
  if (m.data == nullptr) return true;
  if (reinterpret_cast<uintptr_t>(m.data) % 16 != 0) return false;
  return m.rows == 1 || m.row_stride * element_bytes(m.element_type) % 16 == 0;
}

template <class... Matrices>
bool all_aligned(const Matrices &...matrices) {
  return (aligned(matrices) && ...);
}

void require_columns(int64_t columns) {
  if (columns > INT32_MAX - kPiece)
    fail(SVDIT_UNSUPPORTED, "the CUDA kernels do not count %" PRId64 " columns", columns);
}

template <class Params>
void count_pieces(int64_t rows, int64_t columns, Params *params) {
  require_columns(columns);
  const int64_t pieces_per_row = (columns + kPiece - 1) / kPiece;
  if (rows > kMaxPieces / pieces_per_row) {
    fail(SVDIT_UNSUPPORTED,
         "the CUDA kernels do not count the elements of [%" PRId64 ", %" PRId64 "]", rows, columns);
  }
  params->columns = static_cast<int32_t>(columns);
  params->pieces_per_row = static_cast<uint32_t>(pieces_per_row);
  params->pieces = static_cast<uint32_t>(rows * pieces_per_row);
}

// Matrices without gaps, and with nothing that is the same for all rows, are one long row.
bool one_row(const svdit_matrix &x, const svdit_matrix &y) {
  return x.row_stride == x.columns && y.row_stride == y.columns &&
         x.rows <= (INT32_MAX - kPiece) / x.columns;
}

Rotary rotary_of(const svdit_rope_args &args, int64_t row_begin) {
  return {floats_of(args.cosine),
          floats_of(args.sine),
          args.cosine.row_stride,
          args.sine.row_stride,
          row_begin,
          row_begin + args.x.rows,
          args.head_dim};
}

}  // namespace

NormLaunch prepare_norm(const svdit_norm_args &args) {
  const int64_t groups = args.x.columns / args.group_columns;
  NormLaunch launch{};
  while (launch.shape < kNormShapeCount &&
         kNormShapes[launch.shape].columns() < args.group_columns) {
    ++launch.shape;
  }
  if (launch.shape == kNormShapeCount) {
    fail(SVDIT_UNSUPPORTED, "a norm over %" PRId64 " columns; the CUDA kernels take at most %d",
         args.group_columns, kNormShapes[kNormShapeCount - 1].columns());
  }
  require_columns(args.x.columns);
  if (args.x.rows > INT32_MAX / groups) {
    fail(SVDIT_UNSUPPORTED, "the CUDA kernels do not count %" PRId64 " x %" PRId64 " groups",
         args.x.rows, groups);
  }
  const int64_t per_block = kNormShapes[launch.shape].groups_per_block();
  launch.blocks = static_cast<int>((args.x.rows * groups + per_block - 1) / per_block);
  NormParams &p = launch.params;
  p.x = view_of(args.x);
  p.y = view_of(args.y);
  p.weight = vector_of(args.weight);
  p.bias = vector_of(args.bias);
  p.scale = floats_of(args.scale);
  p.shift = floats_of(args.shift);
  p.rows = static_cast<int32_t>(args.x.rows);
  p.groups = static_cast<int32_t>(groups);
  p.group = static_cast<int32_t>(args.group_columns);
  p.epsilon = args.epsilon;
  p.rms = args.kind == SVDIT_NORM_RMS;
  p.silu = args.activation == SVDIT_ACTIVATION_SILU;
  p.whole_pieces = (groups == 1 || p.group % kPiece == 0) &&
                   all_aligned(args.x, args.y, args.weight, args.bias, args.scale, args.shift);
  return launch;
}

bool add_residual(const svdit_residual_args &residual, NormLaunch *launch) {
  NormParams &p = launch->params;
  p.added = view_of(residual.x);
  p.gate = floats_of(residual.gate);
  p.whole_pieces = p.whole_pieces && all_aligned(residual.x, residual.gate);
  return true;
}

bool add_rope(const svdit_rope_args &rope, NormLaunch *launch) {
  NormParams &p = launch->params;
  if (p.group % 2 != 0 && p.groups != 1) return false;  // pairs would lie in two groups
  const int64_t offset = static_cast<char *>(rope.x.data) - p.y.data;
  const int64_t row = p.y.stride == 0 ? 0 : offset / p.y.stride;
  p.rotary = rotary_of(rope, row);
  p.whole_pieces =
      p.whole_pieces && rope.head_dim % kPiece == 0 && all_aligned(rope.cosine, rope.sine);
  return true;
}

ConvertParams prepare_convert(const svdit_convert_args &args) {
  ConvertParams p{};
  p.x = view_of(args.x);
  p.y = view_of(args.y);
  p.activation = args.activation;
  p.whole_pieces = all_aligned(args.x, args.y);
  const bool joined = one_row(args.x, args.y);
  count_pieces(joined ? 1 : args.x.rows, joined ? args.x.rows * args.x.columns : args.x.columns,
               &p);
  return p;
}

ConvertParams prepare_bias(const svdit_matrix &y, const svdit_matrix &bias, uint32_t activation) {
  ConvertParams p{};
  p.x = p.y = view_of(y);
  p.bias = vector_of(bias);
  p.activation = activation;
  p.whole_pieces = all_aligned(y, bias);
  count_pieces(y.rows, y.columns, &p);
  return p;
}

ResidualParams prepare_residual(const svdit_residual_args &args) {
  ResidualParams p{};
  p.x = view_of(args.x);
  p.y = view_of(args.y);
  p.gate = floats_of(args.gate);
  p.whole_pieces = all_aligned(args.x, args.y, args.gate);
  const bool joined = p.gate == nullptr && one_row(args.x, args.y);
  count_pieces(joined ? 1 : args.x.rows, joined ? args.x.rows * args.x.columns : args.x.columns,
               &p);
  return p;
}

RopeParams prepare_rope(const svdit_rope_args &args) {
  RopeParams p{};
  p.x = view_of(args.x);
  p.rotary = rotary_of(args, 0);
  p.whole_pieces = args.head_dim % kPiece == 0 && all_aligned(args.x, args.cosine, args.sine);
  count_pieces(args.x.rows, args.x.columns, &p);
  return p;
}

RopeHalvesParams prepare_rope_halves(const svdit_rope_args &args) {
  RopeHalvesParams p{};
  p.x = view_of(args.x);
  p.rotary = rotary_of(args, 0);
  count_pieces(args.x.rows, args.x.columns / 2, &p);
  return p;
}

MultiplyParams prepare_multiply(const svdit_multiply_args &args) {
  MultiplyParams p{};
  p.a = view_of(args.a);
  p.b = view_of(args.b);
  p.y = view_of(args.y);
  p.whole_pieces = all_aligned(args.a, args.b, args.y);
  count_pieces(args.a.rows, args.a.columns, &p);
  return p;
}

TransposeParams prepare_transpose(const svdit_transpose_args &args) {
  TransposeParams p{};
  p.x = view_of(args.x);
  p.y = view_of(args.y);
  require_columns(args.x.columns);
  count_pieces(args.y.rows, args.y.columns, &p);
  return p;
}

SoftmaxParams prepare_softmax(const svdit_softmax_args &args) {
  SoftmaxParams p{};
  p.x = view_of(args.x);
  p.y = view_of(args.y);
  if (args.bias.data != nullptr) p.bias = view_of(args.bias);
  p.first_row = args.first_row;
  p.group = args.group;
  p.scale = args.scale;
  require_columns(args.x.columns);
  if (args.x.rows > INT32_MAX)
    fail(SVDIT_UNSUPPORTED, "the CUDA kernels do not count %" PRId64 " rows", args.x.rows);
  p.rows = static_cast<int32_t>(args.x.rows);
  p.columns = static_cast<int32_t>(args.x.columns);
  p.valid = static_cast<int32_t>(args.valid);
  p.whole_pieces = all_aligned(args.x, args.y, args.bias);
  return p;
}

}  // namespace svdit::cuda
