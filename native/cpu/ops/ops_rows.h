// Row kernels of a denoiser's element-wise operations: norm, rotary embedding, residual, convert.
//
// One table of functions per instruction tier. All of them compute in fp32 and take a range of
// rows, so that the caller decides how rows are spread over threads; none allocates, checks or
// keeps state. Element types are the SVDIT_* codes of svdit.h; strides are in elements.
#ifndef SVDIT_CPU_OPS_ROWS_H_
#define SVDIT_CPU_OPS_ROWS_H_

#include <cstdint>

namespace svdit::cpu {

// y = n * factor + offset with n the row normalised group by group; see svdit_norm_args.
struct NormRows {
  const void *x;
  void *y;
  int64_t x_stride, y_stride;
  uint32_t x_type, y_type;
  int64_t columns, group;
  float epsilon;
  bool rms;
  const float *factor;  // [columns], or nullptr = 1
  const float *offset;  // [columns], or nullptr = 0
  bool silu;            // of the result
};

struct RopeRows {
  void *x;
  int64_t x_stride;
  uint32_t x_type;
  int64_t heads, head_dim;
  const float *cosine, *sine;
  int64_t cosine_stride, sine_stride;
  bool halves;  // pairs are the halves of a head, and not neighbours
};

struct ResidualRows {
  const void *x;
  void *y;
  int64_t x_stride, y_stride;
  uint32_t x_type, y_type;
  int64_t columns;
  const float *gate;  // [columns], or nullptr = 1
};

struct ConvertRows {
  const void *x;
  void *y;
  int64_t x_stride, y_stride;
  uint32_t x_type, y_type;
  int64_t columns;
  uint32_t activation;  // SVDIT_ACTIVATION_*
};

// Adds to sums[c] what x's column c exceeds shift[c] by, to squares[c] the squares of that.
struct SumRows {
  const void *x;
  int64_t x_stride;
  uint32_t x_type;
  int64_t columns;
  const float *shift;
  double *sums, *squares;
};

// y = activation(x * factor + offset), with one factor and offset for each column.
struct AffineRows {
  const void *x;
  void *y;
  int64_t x_stride, y_stride;
  uint32_t x_type, y_type;
  int64_t columns;
  const float *factor, *offset;
  bool silu;
};

// y = softmax(scale x + bias) over the columns a row sees; see svdit_softmax_args.
struct SoftmaxRows {
  const void *x;
  const float *bias;  // nullptr = 0
  void *y;
  int64_t x_stride, bias_stride, y_stride;
  uint32_t x_type, y_type;
  int64_t columns, valid, first_row, group;
  float scale;
};

// y = a * b.
struct MultiplyRows {
  const void *a, *b;
  void *y;
  int64_t a_stride, b_stride, y_stride;
  uint32_t a_type, b_type, y_type;
  int64_t columns;
};

// A tier's table, named in its row of cpu/tiers.def.
struct RowKernels {
  void (*norm)(const NormRows &, int64_t row_begin, int64_t row_end);
  void (*rope)(const RopeRows &, int64_t row_begin, int64_t row_end);
  void (*residual)(const ResidualRows &, int64_t row_begin, int64_t row_end);
  void (*convert)(const ConvertRows &, int64_t row_begin, int64_t row_end);
  void (*sum)(const SumRows &, int64_t row_begin, int64_t row_end);
  void (*affine)(const AffineRows &, int64_t row_begin, int64_t row_end);
  void (*softmax)(const SoftmaxRows &, int64_t row_begin, int64_t row_end);
  void (*multiply)(const MultiplyRows &, int64_t row_begin, int64_t row_end);
};

// The baseline's; the other tiers' are found through cpu/tiers.h.
extern const RowKernels kRowKernelsPortable;

}  // namespace svdit::cpu

#endif  // SVDIT_CPU_OPS_ROWS_H_
