// What the kernels of a denoiser's other operations are given. Filled by ops_prepare.h, read on the
// device; nothing here needs CUDA.
#ifndef SVDIT_CUDA_OPS_PARAMS_H
#define SVDIT_CUDA_OPS_PARAMS_H

#include <cstdint>

namespace svdit::cuda {

// Elements a thread takes at a time: 16 bytes of bf16 or fp16, twice 16 of fp32.
inline constexpr int kPiece = 8;

// Rows of an element type (SVDIT_*); the stride is in bytes.
struct RowsView {
  char *data;
  int64_t stride;
  uint32_t type;
};

// One row that applies to every row. data NULL: there is none.
struct RowVector {
  const char *data;
  int32_t columns;
  uint32_t type;
};

// Angles of rows row_begin .. row_end - 1 of a matrix, [rows, head_dim / 2] fp32; strides in
// elements.
struct Rotary {
  const float *cosine, *sine;  // NULL: nothing is rotated
  int64_t cosine_stride, sine_stride;
  int64_t row_begin, row_end;
  int32_t head_dim;
};

// y = norm of x, group by group; before that x += gate * added, after it the affine map, the
// modulation and the rotation, each where it is given.
struct NormParams {
  RowsView x, y;
  RowsView added;     // data NULL: nothing is added
  const float *gate;  // NULL = 1
  RowVector weight, bias;
  const float *scale, *shift;
  Rotary rotary;
  int32_t rows, groups, group;  // a row is groups x group columns
  float epsilon;
  bool rms, silu;     // silu: of the result
  bool whole_pieces;  // all pieces but a row's short last one begin at a multiple of 16 bytes
};

// y = activation(x + bias).
struct ConvertParams {
  RowsView x, y;
  RowVector bias;
  uint32_t activation;
  int32_t columns;
  uint32_t pieces_per_row, pieces;  // the latter of all rows
  bool whole_pieces;
};

// y += gate * x.
struct ResidualParams {
  RowsView x, y;
  const float *gate;  // NULL = 1
  int32_t columns;
  uint32_t pieces_per_row, pieces;
  bool whole_pieces;
};

// x rotated in place, every row.
struct RopeParams {
  RowsView x;
  Rotary rotary;
  int32_t columns;
  uint32_t pieces_per_row, pieces;
  bool whole_pieces;
};

// What a convolution's kernel sees at places first .. : rows [places, kernel rows x kernel columns x
// kernel frames x channels] without gaps, of x's type. Strides are in bytes.
struct GatherParams {
  RowsView x;
  const char *before, *earlier;  // NULL: there is none
  int64_t before_stride, earlier_stride;
  char *to;
  int64_t first;
  int32_t channels, height, width;  // of x
  int32_t kernel_frames, kernel_height, kernel_width;
  int32_t stride_frames, stride_height, stride_width;
  int32_t pad_frames, kept, pad_top, pad_left;
  int32_t repeat, seen_height, seen_width;  // the latter two: repeated, not padded
  int32_t out_height, out_width;
  uint32_t repeat_frames, padding, padding_frames;
  uint32_t pieces_per_tap, pieces;  // the latter of all places
  bool whole_pieces;                // pieces are 16 bytes at multiples of 16 bytes, else an element
};

// Partial statistics of a group norm: of each group in each split of the rows its mean and the sum
// of squared deviations from it, as partial[(split * groups + group) * 2 ..].
struct GroupSumParams {
  RowsView x;
  float *partial;
  int64_t rows;
  int32_t group, groups, splits;
};

// factor and offset of each channel from them.
struct GroupFoldParams {
  const float *partial;
  RowVector weight, bias;
  float *factor, *offset;
  int64_t rows;
  int32_t group, groups, splits;
  float epsilon;
};

// y = SiLU((x * factor + offset) * scale + shift), the last two of the nearest pixel of a map.
struct AffineParams {
  RowsView x, y;
  const float *factor, *offset;
  RowsView scale, shift;  // data NULL: there are none
  int32_t frames, height, width, map_frames, map_height, map_width;
  bool silu;
  int32_t columns;
  uint32_t pieces_per_row, pieces;
  bool whole_pieces;
};

// y += x with channels dealt out to pixels; see svdit_spread_args.
struct SpreadParams {
  RowsView x, y;
  int32_t height, width;  // of x
  int32_t factor_frames, factor, first, channels;  // channels: of x
  int32_t columns;
  uint32_t pieces_per_row, pieces;
  bool whole_pieces;
};

// The same where pairs are the halves of a head: pieces are of single pairs, over all heads.
struct RopeHalvesParams {
  RowsView x;
  Rotary rotary;
  int32_t columns;  // pairs of a row
  uint32_t pieces_per_row, pieces;
};

// y = a * b.
struct MultiplyParams {
  RowsView a, b, y;
  int32_t columns;
  uint32_t pieces_per_row, pieces;
  bool whole_pieces;
};

// y = x transposed; pieces are of y's rows.
struct TransposeParams {
  RowsView x, y;
  int32_t columns;  // of y
  uint32_t pieces_per_row, pieces;
};

// y = softmax(scale x + bias) of each row over the columns it sees; a block takes a row.
struct SoftmaxParams {
  RowsView x, y;
  RowsView bias;  // data NULL: none
  int64_t first_row, group;
  float scale;
  int32_t rows, columns, valid;
  bool whole_pieces;
};

// How threads share a norm's groups: `lanes` threads take a group, `pieces` of it each at most.
struct NormShape {
  int lanes, pieces;
  constexpr int columns() const { return lanes * pieces * kPiece; }
  constexpr int threads() const { return lanes < 128 ? 128 : lanes; }
  constexpr int groups_per_block() const { return threads() / lanes; }
  // Sums that a group's warps exchange; two of them, so that one barrier each is enough.
  constexpr int shared_bytes() const { return lanes <= 32 ? 0 : 2 * (lanes / 32) * 4; }
};
// Heads of 64 and 128, and widths up to 1536 (Wan 1.3B), 3072 (HunyuanVideo, CogVideoX), 5120 (Wan
// 14B), without idle threads; then what else there may be.
inline constexpr NormShape kNormShapes[] = {{8, 1},   {16, 1},  {32, 2}, {32, 6},
                                            {128, 3}, {128, 5}, {256, 4}};
inline constexpr int kNormShapeCount = sizeof kNormShapes / sizeof kNormShapes[0];
inline constexpr int kEachThreads = 256;  // of the other kernels
inline constexpr int kSoftmaxSharedBytes = 2 * (kEachThreads / 32) * 4;  // two sums over warps
// What the warps of a block of a group norm's statistics exchange: two sums each.
inline constexpr int kGroupShared = 2 * (kEachThreads / 32) * 4;

}  // namespace svdit::cuda

#endif
