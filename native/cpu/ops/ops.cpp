#include "cpu/ops/ops.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "cpu/cpu_backend.h"

namespace svdit::cpu {
namespace {

// Rows of fewer elements than this in all are done by the caller: waking a thread costs more.
constexpr int64_t kElementsPerTask = 16384;
// Elements that two operations in one hand on through the first-level cache.
constexpr int64_t kElementsAtOnce = 2048;
// A product is cut into parts of about this many rows and outputs: large enough that packing the
// weights once per part costs 1–2 %, small enough that two threads finish together.
constexpr int64_t kPart = 256;
constexpr double kFlopsPerTask = 2e6;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

size_t element_bytes(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }

char *at(const svdit_matrix &matrix, int64_t row, int64_t column) {
  return static_cast<char *>(matrix.data) +
         (row * matrix.row_stride + column) * element_bytes(matrix.element_type);
}

// Rows of one type as contiguous rows of another.
void convert_rows(const RowKernels &kernels, const void *from, int64_t from_stride, int32_t type,
                  void *to, int64_t to_stride, int32_t to_type, int64_t rows, int64_t columns) {
  const ConvertRows all = {from,
                           to,
                           from_stride,
                           to_stride,
                           static_cast<uint32_t>(type),
                           static_cast<uint32_t>(to_type),
                           columns,
                           SVDIT_ACTIVATION_NONE};
  kernels.convert(all, 0, rows);
}

// A part of a bf16 product in fp32, for processors without bf16 matrix instructions, on which
// oneDNN would fall back to a loop hundreds of times slower. What it adds up is the same.
std::string run_widened(MatmulLibrary &library, const RowKernels &kernels, ProductShape shape,
                        const void *x, const void *weight, const void *bias, void *y) {
  // Kept per thread: a part's x, weights, bias and y.
  thread_local std::vector<float> values;
  const int64_t m = shape.m, n = shape.n, k = shape.k;
  values.resize(m * k + n * k + n + m * n);
  float *wide_x = values.data(), *wide_weight = wide_x + m * k, *wide_bias = wide_weight + n * k;
  float *wide_y = wide_bias + n;
  convert_rows(kernels, x, shape.x_stride, shape.type, wide_x, k, SVDIT_FP32, m, k);
  convert_rows(kernels, weight, shape.weight_stride, shape.type, wide_weight, k, SVDIT_FP32, n, k);
  if (bias != nullptr) {
    convert_rows(kernels, bias, n, shape.bias_type, wide_bias, n, SVDIT_FP32, 1, n);
  }
  ProductShape wide = shape;
  wide.type = wide.y_type = SVDIT_FP32;
  wide.bias_type = bias == nullptr ? -1 : SVDIT_FP32;
  wide.x_stride = wide.weight_stride = k;
  wide.y_stride = n;
  const std::string said =
      library.run(wide, wide_x, wide_weight, bias == nullptr ? nullptr : wide_bias, wide_y);
  if (said.empty()) {
    convert_rows(kernels, wide_y, n, SVDIT_FP32, y, shape.y_stride, shape.y_type, m, n);
  }
  return said;
}

}  // namespace

CpuOperations::CpuOperations(const RowKernels &kernels, ThreadPool &pool)
    : kernels_(kernels), pool_(pool) {}

void CpuOperations::open_matmul_library(const char *path) {
  if (*path == '\0') fail(SVDIT_INVALID_ARGUMENT, "path is empty");
  const std::lock_guard lock(library_mutex_);
  if (library_ != nullptr) {
    fail(SVDIT_INVALID_ARGUMENT, "this backend has a matrix library already (oneDNN %s)",
         library_->version().c_str());
  }
  std::string reason;
  library_ = MatmulLibrary::open(path, &reason);
  if (library_ == nullptr) {
    fail(SVDIT_UNAVAILABLE, "no matrix library at '%s': %s", path, reason.c_str());
  }
  opened_ = library_.get();
}

int64_t CpuOperations::row_tasks(int64_t rows, int64_t columns) const {
  const int64_t worth = std::max<int64_t>(1, rows * columns / kElementsPerTask);
  return std::min({rows, worth, int64_t{pool_.threads()} * 4});
}

template <typename F>
void CpuOperations::each_rows(int64_t rows, int64_t columns, F rows_of) {
  const int64_t tasks = row_tasks(rows, columns);
  pool_.for_each(tasks,
                 [&](int64_t task) { rows_of(rows * task / tasks, rows * (task + 1) / tasks); });
}

void CpuOperations::linear(const svdit_linear_args &args, svdit_stream stream) {
  require_no_stream(stream);
  if (args.x.element_type == SVDIT_FP16)
    fail(SVDIT_UNSUPPORTED, "on the CPU linear takes BF16 or FP32, not FP16");
  MatmulLibrary *library = opened_;
  if (library == nullptr) {
    fail(SVDIT_UNAVAILABLE, "no matrix library: svdit_matmul_library was not called");
  }
  const bool widened = args.x.element_type == SVDIT_BF16 && !library->fast_bf16();
  const int64_t m = args.x.rows, n = args.weight.rows, k = args.x.columns;
  const double flops = 2.0 * m * n * k;
  int64_t rows = m, outputs = n;
  if (flops > kFlopsPerTask && pool_.threads() > 1) {
    rows = kPart;
    while (ceil_div(m, rows) * ceil_div(n, kPart) > 32 * pool_.threads() &&
           rows < (widened ? 1 : 8) * kPart)
      rows *= 2;
    // Parts of equal width, in multiples of a cache line of fp32.
    outputs = ceil_div(ceil_div(n, ceil_div(n, kPart)), 16) * 16;
    if (m <= rows) {
      outputs =
          std::min(outputs, std::max<int64_t>(64, ceil_div(ceil_div(n, pool_.threads()), 16) * 16));
    }
  }
  const int64_t row_parts = ceil_div(m, rows), output_parts = ceil_div(n, outputs);
  const bool has_bias = args.bias.data != nullptr;

  std::mutex failure_mutex;
  std::string failure;
  auto part = [&](int64_t task) {
    const int64_t row = task % row_parts * rows, output = task / row_parts * outputs;
    ProductShape shape;
    shape.m = std::min(rows, m - row);
    shape.n = std::min(outputs, n - output);
    shape.k = k;
    shape.x_stride = args.x.row_stride;
    shape.weight_stride = args.weight.row_stride;
    shape.y_stride = args.y.row_stride;
    shape.type = static_cast<int32_t>(args.x.element_type);
    shape.bias_type = has_bias ? static_cast<int32_t>(args.bias.element_type) : -1;
    shape.y_type = static_cast<int32_t>(args.y.element_type);
    shape.activation = args.activation;
    const void *bias = has_bias ? at(args.bias, 0, output) : nullptr;
    const std::string said =
        widened ? run_widened(*library, kernels_, shape, at(args.x, row, 0),
                              at(args.weight, output, 0), bias, at(args.y, row, output))
                : library->run(shape, at(args.x, row, 0), at(args.weight, output, 0), bias,
                               at(args.y, row, output));
    if (!said.empty()) {
      const std::lock_guard lock(failure_mutex);
      failure = said;
    }
  };
  pool_.for_each(row_parts * output_parts, part);
  if (!failure.empty()) fail(SVDIT_INTERNAL, "%s", failure.c_str());
}

namespace {

// Adds up in fp32 what every row is multiplied with and what is added: weight (1 + scale) and
// bias (1 + scale) + shift, each repeated over the groups.
class Affine {
 public:
  Affine(const svdit_norm_args &args, const RowKernels &kernels) {
    const int64_t columns = args.x.columns;
    if (args.weight.data == nullptr && args.bias.data == nullptr && args.scale.data == nullptr &&
        args.shift.data == nullptr) {
      return;
    }
    std::vector<float> &values = storage();
    values.resize(2 * columns);
    factor_ = values.data();
    offset_ = values.data() + columns;
    spread(args.weight, columns, 1.0f, factor_, kernels);
    spread(args.bias, columns, 0.0f, offset_, kernels);
    const float *scale = static_cast<const float *>(args.scale.data);
    const float *shift = static_cast<const float *>(args.shift.data);
    for (int64_t c = 0; scale != nullptr && c < columns; ++c) {
      factor_[c] *= 1.0f + scale[c];
      offset_[c] *= 1.0f + scale[c];
    }
    for (int64_t c = 0; shift != nullptr && c < columns; ++c) offset_[c] += shift[c];
  }
  const float *factor() const { return factor_; }
  const float *offset() const { return offset_; }

 private:
  // Kept per thread, so that a denoiser's thousands of norms allocate once.
  static std::vector<float> &storage() {
    thread_local std::vector<float> values;
    return values;
  }

  static void spread(const svdit_matrix &from, int64_t columns, float otherwise, float *to,
                     const RowKernels &kernels) {
    if (from.data == nullptr) {
      std::fill_n(to, columns, otherwise);
      return;
    }
    kernels.convert({from.data, to, from.columns, columns, from.element_type, SVDIT_FP32,
                     from.columns, SVDIT_ACTIVATION_NONE},
                    0, 1);
    for (int64_t c = from.columns; c < columns; ++c) to[c] = to[c - from.columns];
  }

  float *factor_ = nullptr;
  float *offset_ = nullptr;
};

NormRows norm_rows(const svdit_norm_args &args, const Affine &affine) {
  return {args.x.data,         args.y.data,
          args.x.row_stride,   args.y.row_stride,
          args.x.element_type, args.y.element_type,
          args.x.columns,      args.group_columns,
          args.epsilon,        args.kind == SVDIT_NORM_RMS,
          affine.factor(),     affine.offset(),
          args.activation == SVDIT_ACTIVATION_SILU};
}

RopeRows rope_rows(const svdit_rope_args &args) {
  return {args.x.data,
          args.x.row_stride,
          args.x.element_type,
          args.x.columns / args.head_dim,
          args.head_dim,
          static_cast<const float *>(args.cosine.data),
          static_cast<const float *>(args.sine.data),
          args.cosine.row_stride,
          args.sine.row_stride,
          args.pairs == SVDIT_PAIRS_HALVES};
}

ResidualRows residual_rows(const svdit_residual_args &args) {
  return {args.x.data,         args.y.data,
          args.x.row_stride,   args.y.row_stride,
          args.x.element_type, args.y.element_type,
          args.x.columns,      static_cast<const float *>(args.gate.data)};
}

// Calls body(first, last) for a few rows at a time, so that what one operation writes is still in
// the first-level cache when the next one reads it.
template <typename Body>
void each_few(int64_t begin, int64_t end, int64_t columns, Body body) {
  const int64_t few = std::max<int64_t>(1, kElementsAtOnce / columns);
  for (int64_t row = begin; row < end; row += few) body(row, std::min(row + few, end));
}

}  // namespace

void CpuOperations::norm(const svdit_norm_args &args, svdit_stream stream) {
  require_no_stream(stream);
  const Affine affine(args, kernels_);
  const NormRows rows = norm_rows(args, affine);
  each_rows(args.x.rows, args.x.columns,
            [&](int64_t begin, int64_t end) { kernels_.norm(rows, begin, end); });
}

void CpuOperations::rope(const svdit_rope_args &args, svdit_stream stream) {
  require_no_stream(stream);
  const RopeRows rows = rope_rows(args);
  each_rows(args.x.rows, args.x.columns,
            [&](int64_t begin, int64_t end) { kernels_.rope(rows, begin, end); });
}

void CpuOperations::residual(const svdit_residual_args &args, svdit_stream stream) {
  require_no_stream(stream);
  const ResidualRows rows = residual_rows(args);
  each_rows(args.x.rows, args.x.columns,
            [&](int64_t begin, int64_t end) { kernels_.residual(rows, begin, end); });
}

void CpuOperations::residual_norm(const svdit_residual_args &first, const svdit_norm_args &second,
                                  svdit_stream stream) {
  require_no_stream(stream);
  const Affine affine(second, kernels_);
  const ResidualRows added = residual_rows(first);
  const NormRows normed = norm_rows(second, affine);
  each_rows(first.x.rows, first.x.columns, [&](int64_t begin, int64_t end) {
    each_few(begin, end, first.x.columns, [&](int64_t row, int64_t last) {
      kernels_.residual(added, row, last);
      kernels_.norm(normed, row, last);
    });
  });
}

void CpuOperations::norm_rope(const svdit_norm_args &first, const svdit_rope_args &second,
                              svdit_stream stream) {
  require_no_stream(stream);
  const Affine affine(first, kernels_);
  const NormRows normed = norm_rows(first, affine);
  const RopeRows rotated = rope_rows(second);
  const int64_t row_bytes = first.y.row_stride * element_bytes(first.y.element_type);
  const int64_t offset =  // of the first rotated row
      row_bytes == 0
          ? 0
          : (static_cast<char *>(second.x.data) - static_cast<char *>(first.y.data)) / row_bytes;
  each_rows(first.x.rows, first.x.columns, [&](int64_t begin, int64_t end) {
    each_few(begin, end, first.x.columns, [&](int64_t row, int64_t last) {
      kernels_.norm(normed, row, last);
      const int64_t from = std::max<int64_t>(row - offset, 0);
      const int64_t to = std::min(last - offset, second.x.rows);
      if (from < to) kernels_.rope(rotated, from, to);
    });
  });
}

void CpuOperations::convert(const svdit_convert_args &args, svdit_stream stream) {
  require_no_stream(stream);
  const ConvertRows rows = {args.x.data,       args.y.data,         args.x.row_stride,
                            args.y.row_stride, args.x.element_type, args.y.element_type,
                            args.x.columns,    args.activation};
  each_rows(args.x.rows, args.x.columns,
            [&](int64_t begin, int64_t end) { kernels_.convert(rows, begin, end); });
}

void CpuOperations::softmax(const svdit_softmax_args &args, svdit_stream stream) {
  require_no_stream(stream);
  const SoftmaxRows rows = {args.x.data,          static_cast<const float *>(args.bias.data),
                            args.y.data,          args.x.row_stride,
                            args.bias.row_stride, args.y.row_stride,
                            args.x.element_type,  args.y.element_type,
                            args.x.columns,       args.valid,
                            args.first_row,       args.group,
                            args.scale};
  each_rows(args.x.rows, args.x.columns,
            [&](int64_t begin, int64_t end) { kernels_.softmax(rows, begin, end); });
}

void CpuOperations::multiply(const svdit_multiply_args &args, svdit_stream stream) {
  require_no_stream(stream);
  const MultiplyRows rows = {args.a.data,         args.b.data,         args.y.data,
                             args.a.row_stride,   args.b.row_stride,   args.y.row_stride,
                             args.a.element_type, args.b.element_type, args.y.element_type,
                             args.a.columns};
  each_rows(args.a.rows, args.a.columns,
            [&](int64_t begin, int64_t end) { kernels_.multiply(rows, begin, end); });
}

namespace {

// Squares of this side, so that a cache line that is written is written whole before it is evicted.
constexpr int64_t kSide = 32;

template <typename T>
void transpose_rows(const svdit_matrix &x, const svdit_matrix &y, int64_t begin, int64_t end) {
  const T *from = static_cast<const T *>(x.data);
  T *to = static_cast<T *>(y.data);
  for (int64_t row = begin; row < end; row += kSide) {
    for (int64_t column = 0; column < y.columns; column += kSide) {
      const int64_t last_row = std::min(row + kSide, end);
      const int64_t last_column = std::min(column + kSide, y.columns);
      for (int64_t r = row; r < last_row; ++r)
        for (int64_t c = column; c < last_column; ++c)
          to[r * y.row_stride + c] = from[c * x.row_stride + r];
    }
  }
}

}  // namespace

void CpuOperations::transpose(const svdit_transpose_args &args, svdit_stream stream) {
  require_no_stream(stream);
  each_rows(args.y.rows, args.y.columns, [&](int64_t begin, int64_t end) {
    if (args.x.element_type == SVDIT_FP32) {
      transpose_rows<uint32_t>(args.x, args.y, begin, end);
    } else {
      transpose_rows<uint16_t>(args.x, args.y, begin, end);
    }
  });
}

}  // namespace svdit::cpu
