// Convolutions over clips on the CPU. The work is cut into parts: a frame of the output and some of
// its rows and columns. A part gathers what its kernel sees, padded and upsampled, with the frames
// of the kernel side by side as channels; what is left is a two-dimensional convolution without
// padding, which oneDNN runs on the thread that gathered.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "backend/conv.h"
#include "base/error.h"
#include "cpu/cpu_backend.h"
#include "cpu/ops/ops.h"

namespace svdit::cpu {
namespace {

// What a part gathers: it stays in the second-level cache, and the rows and columns that
// neighbouring parts gather twice stay few.
constexpr int64_t kGatheredBytes = int64_t{1} << 20;
constexpr int64_t kAlignment = 64;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t element_bytes(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }

// Memory that is not cleared.
class Scratch {
 public:
  void *of(int64_t bytes) {
    if (bytes > bytes_) {
      std::free(memory_);
      bytes_ = 0;
      memory_ = std::aligned_alloc(kAlignment, ceil_div(bytes, kAlignment) * kAlignment);
      if (memory_ == nullptr) throw std::bad_alloc();
      bytes_ = bytes;
    }
    return memory_;
  }
  Scratch() = default;
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  ~Scratch() { std::free(memory_); }

 private:
  void *memory_ = nullptr;
  int64_t bytes_ = 0;
};

void copy_rows(const RowKernels &kernels, const char *from, int64_t from_stride, uint32_t type,
               char *to, int64_t to_stride, uint32_t to_type, int64_t rows, int64_t columns) {
  if (type != to_type) {
    kernels.convert({from, to, from_stride, to_stride, type, to_type, columns,
                     SVDIT_ACTIVATION_NONE},
                    0, rows);
    return;
  }
  const int64_t bytes = columns * element_bytes(type);
  const int64_t from_step = from_stride * element_bytes(type);
  const int64_t to_step = to_stride * element_bytes(type);
  if (from_step == bytes && to_step == bytes) {
    std::memcpy(to, from, rows * bytes);
    return;
  }
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(to + row * to_step, from + row * from_step, bytes);
}

// One convolution cut into parts.
class ConvParts {
 public:
  ConvParts(const svdit_conv_args &args, const RowKernels &kernels, MatmulLibrary &library)
      : a_(args),
        places_(args),
        kernels_(kernels),
        library_(library),
        inputs_(args.x.columns),
        outputs_(args.weight.rows),
        type_(args.x.element_type == SVDIT_BF16 && !library.fast_bf16()
                  ? uint32_t{SVDIT_FP32}
                  : args.x.element_type),
        y_type_(type_ == args.x.element_type ? args.y.element_type : uint32_t{SVDIT_FP32}) {}

  // Sets the size of a part. There should be some for every thread.
  void cut(int threads) {
    const int64_t pixel = a_.kernel_frames * inputs_ * element_bytes(type_);
    const int64_t pixels = std::max<int64_t>(64, kGatheredBytes / pixel);
    // As wide as the picture where a few rows fit, for then y is written in place.
    columns_ = places_.out_width;
    while (columns_ > 32 && 8 * columns_ > pixels) columns_ = ceil_div(columns_, 2);
    rows_ = std::clamp<int64_t>(pixels / columns_, 1, places_.out_height);
    const int64_t parts = 2 * threads;
    while (rows_ > 4 && part_count() < parts) rows_ = ceil_div(rows_, 2);
    rows_ = ceil_div(places_.out_height, ceil_div(places_.out_height, rows_));
  }

  int64_t part_count() const {
    return places_.out_frames * ceil_div(places_.out_height, rows_) *
           ceil_div(places_.out_width, columns_);
  }

  // Before the parts are run: the bias in FP32, the weights as oneDNN wants them.
  std::string prepare() {
    if (a_.bias.data != nullptr) {
      bias_.resize(outputs_);
      copy_rows(kernels_, data(a_.bias), outputs_, a_.bias.element_type,
                reinterpret_cast<char *>(bias_.data()), outputs_, SVDIT_FP32, 1, outputs_);
    }
    const void *weight = a_.weight.data;
    Scratch wide;
    if (type_ != a_.x.element_type || a_.weight.row_stride != a_.weight.columns) {
      weight = wide.of(outputs_ * a_.weight.columns * element_bytes(type_));
      copy_rows(kernels_, data(a_.weight), a_.weight.row_stride, a_.weight.element_type,
                static_cast<char *>(const_cast<void *>(weight)), a_.weight.columns, type_,
                outputs_, a_.weight.columns);
    }
    // The last parts of a row, a column or both may be smaller, and may want other layouts.
    for (int edge = 0; edge < 4; ++edge) {
      const ConvShape shape = shape_of(rows_of(edge % 2 != 0 ? places_.out_height - 1 : 0),
                                       columns_of(edge / 2 != 0 ? places_.out_width - 1 : 0));
      std::string said;
      const size_t bytes = library_.weight_bytes(shape, &said);
      if (bytes == 0) return said;
      if (edge > 0 && library_.same_weights(layouts_[0].shape, shape)) continue;
      layouts_[edge].shape = shape;
      said = library_.lay_out(shape, weight,
                              layouts_[edge].weight.of(static_cast<int64_t>(bytes)));
      if (!said.empty()) return said;
    }
    return {};
  }

  std::string run(int64_t part) {
    // Kept per thread: the same for the parts of all convolutions.
    thread_local Scratch gathered, computed;
    const int64_t across = ceil_div(places_.out_width, columns_);
    const int64_t down = ceil_div(places_.out_height, rows_);
    const int64_t column = part % across * columns_, row = part / across % down * rows_;
    const int64_t frame = part / across / down;
    const int64_t columns = columns_of(column), rows = rows_of(row);
    const ConvShape shape = shape_of(rows, columns);
    char *const x = static_cast<char *>(gathered.of(shape.rows * shape.columns * shape.inputs *
                                                    element_bytes(type_)));
    gather(frame, row * a_.stride_height - a_.pad_top, shape.rows,
           column * a_.stride_width - a_.pad_left, shape.columns, x);
    const int64_t first = (frame * places_.out_height + row) * places_.out_width + column;
    char *const y = data(a_.y) + first * a_.y.row_stride * element_bytes(a_.y.element_type);
    const bool in_place = columns == places_.out_width && a_.y.row_stride == outputs_ &&
                          y_type_ == a_.y.element_type;
    char *const to = in_place ? y
                              : static_cast<char *>(computed.of(rows * columns * outputs_ *
                                                                element_bytes(y_type_)));
    const std::string said = library_.convolve(shape, x, weight_for(shape),
                                               bias_.empty() ? nullptr : bias_.data(), to);
    if (!said.empty() || in_place) return said;
    for (int64_t r = 0; r < rows; ++r) {
      copy_rows(kernels_, to + r * columns * outputs_ * element_bytes(y_type_), outputs_, y_type_,
                y + r * places_.out_width * a_.y.row_stride * element_bytes(a_.y.element_type),
                a_.y.row_stride, a_.y.element_type, columns, outputs_);
    }
    return {};
  }

 private:
  struct Layout {
    ConvShape shape{};  // no outputs: not needed
    Scratch weight;
  };

  // Of the part that output row or column `at` lies in.
  int64_t rows_of(int64_t at) const {
    return std::min(rows_, places_.out_height - at / rows_ * rows_);
  }
  int64_t columns_of(int64_t at) const {
    return std::min(columns_, places_.out_width - at / columns_ * columns_);
  }

  const void *weight_for(const ConvShape &shape) {
    for (Layout &layout : layouts_) {
      if (layout.shape == shape) return layout.weight.of(0);
    }
    return layouts_[0].weight.of(0);
  }

  static char *data(const svdit_matrix &m) { return static_cast<char *>(m.data); }

  ConvShape shape_of(int64_t rows, int64_t columns) const {
    return {(rows - 1) * a_.stride_height + a_.kernel_height,
            (columns - 1) * a_.stride_width + a_.kernel_width,
            a_.kernel_frames * inputs_,
            outputs_,
            a_.kernel_height,
            a_.kernel_width,
            a_.stride_height,
            a_.stride_width,
            static_cast<int32_t>(type_),
            static_cast<int32_t>(y_type_),
            a_.bias.data != nullptr};
  }

  // The first row of the frame that a padded one shows; NULL for zeros.
  const svdit_matrix *frame_of(int64_t padded, int64_t *first) const {
    const int64_t frame = conv_frame(padded, a_.pad_frames, places_.kept, a_.repeat_frames,
                                     a_.padding_frames);
    *first = 0;
    if (frame == kPadded) return nullptr;
    if (frame == -1) return &a_.before;
    if (frame == -2) return &a_.earlier;
    *first = frame * a_.height * a_.width;
    return &a_.x;
  }

  // The pixels of rows and columns that begin at `row` and `column` (negative: in the padding), each
  // with the channels of all the kernel's frames.
  void gather(int64_t frame, int64_t row, int64_t rows, int64_t column, int64_t columns, char *to) {
    const int64_t pixel = a_.kernel_frames * inputs_, bytes = element_bytes(type_);
    for (int64_t k = 0; k < a_.kernel_frames; ++k) {
      int64_t first = 0;
      const svdit_matrix *from = frame_of(frame * a_.stride_frames + k, &first);
      for (int64_t r = 0; r < rows; ++r) {
        char *const line = to + (r * columns * pixel + k * inputs_) * bytes;
        int64_t seen = row + r;
        if (a_.padding == SVDIT_PAD_REPLICATE)
          seen = std::clamp<int64_t>(seen, 0, places_.height - 1);
        if (from == nullptr || seen < 0 || seen >= places_.height) {
          zero(line, columns);
        } else {
          gather_line(*from, first + seen / a_.repeat * a_.width, column, columns, line);
        }
      }
    }
  }

  void zero(char *to, int64_t pixels) const {
    const int64_t bytes = element_bytes(type_), step = a_.kernel_frames * inputs_ * bytes;
    if (a_.kernel_frames == 1) {
      std::memset(to, 0, pixels * step);
      return;
    }
    for (int64_t i = 0; i < pixels; ++i) std::memset(to + i * step, 0, inputs_ * bytes);
  }

  // Columns of the row of pixels that begins at `first`.
  void gather_line(const svdit_matrix &from, int64_t first, int64_t column, int64_t columns,
                   char *to) const {
    const int64_t pixel = a_.kernel_frames * inputs_, bytes = element_bytes(type_);
    const int64_t from_bytes = from.row_stride * element_bytes(from.element_type);
    const int64_t begin = std::clamp<int64_t>(-column, 0, columns);
    const int64_t end = std::clamp<int64_t>(places_.width - column, begin, columns);
    const bool replicated = a_.padding == SVDIT_PAD_REPLICATE;
    auto copy = [&](int64_t at, int64_t seen, int64_t count, int64_t step) {
      copy_rows(kernels_, data(from) + (first + seen / a_.repeat) * from_bytes, from.row_stride,
                from.element_type, to + at * pixel * bytes, step * pixel, type_, count, inputs_);
    };
    for (int64_t c = 0; replicated && c < begin; ++c) copy(c, 0, 1, 1);
    for (int64_t c = end; replicated && c < columns; ++c) copy(c, places_.width - 1, 1, 1);
    if (!replicated) {
      zero(to, begin);
      zero(to + end * pixel * bytes, columns - end);
    }
    if (a_.repeat == 1) {
      if (begin < end) copy(begin, column + begin, end - begin, 1);
      return;
    }
    // Every other column, twice: those that show a pixel for the first time, then its repetitions.
    for (int64_t c = begin; c < std::min(begin + 2, end); ++c)
      copy(c, column + c, ceil_div(end - c, 2), 2);
  }

  const svdit_conv_args &a_;
  const ConvPlaces places_;
  const RowKernels &kernels_;
  MatmulLibrary &library_;
  const int64_t inputs_, outputs_;
  const uint32_t type_, y_type_;  // that are computed in
  int64_t rows_ = 1, columns_ = 1;  // of a part's output
  std::vector<float> bias_;
  Layout layouts_[4];
};

}  // namespace

void CpuOperations::conv(const svdit_conv_args &args, svdit_stream stream) {
  require_no_stream(stream);
  if (args.x.element_type == SVDIT_FP16)
    fail(SVDIT_UNSUPPORTED, "on the CPU conv takes BF16 or FP32, not FP16");
  if (args.workspace != nullptr)
    fail(SVDIT_INVALID_ARGUMENT, "workspace is not NULL; the CPU backend uses none");
  if (is_product(args)) {
    svdit_linear_args product{};
    product.struct_bytes = sizeof product;
    product.x = args.x;
    product.weight = args.weight;
    product.bias = args.bias;
    product.y = args.y;
    linear(product, stream);
    return;
  }
  MatmulLibrary *library = opened_;
  if (library == nullptr)
    fail(SVDIT_UNAVAILABLE, "no matrix library: svdit_matmul_library was not called");
  ConvParts parts(args, kernels_, *library);
  parts.cut(pool_.threads());
  std::string failure = parts.prepare();
  if (!failure.empty()) fail(SVDIT_INTERNAL, "%s", failure.c_str());
  std::mutex failure_mutex;
  pool_.for_each(parts.part_count(), [&](int64_t part) {
    const std::string said = parts.run(part);
    if (said.empty()) return;
    const std::lock_guard lock(failure_mutex);
    failure = said;
  });
  if (!failure.empty()) fail(SVDIT_INTERNAL, "%s", failure.c_str());
}

}  // namespace svdit::cpu
