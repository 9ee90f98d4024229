// Group norms and spreading of channels over clips, on the CPU.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/conv.h"
#include "base/error.h"
#include "cpu/cpu_backend.h"
#include "cpu/ops/ops.h"

namespace svdit::cpu {
namespace {

int64_t element_bytes(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }

char *row_of(const svdit_matrix &m, int64_t row) {
  return static_cast<char *>(m.data) + row * m.row_stride * element_bytes(m.element_type);
}

// A row in fp32; `otherwise` where there is none.
std::vector<float> floats(const RowKernels &kernels, const svdit_matrix &m, int64_t columns,
                          float otherwise) {
  std::vector<float> values(static_cast<size_t>(columns), otherwise);
  if (m.data != nullptr) {
    kernels.convert({m.data, values.data(), columns, columns, m.element_type, SVDIT_FP32, columns,
                     SVDIT_ACTIVATION_NONE},
                    0, 1);
  }
  return values;
}

}  // namespace

void CpuOperations::group_norm(const svdit_group_norm_args &args, svdit_stream stream) {
  require_no_stream(stream);
  const svdit_matrix &x = args.x, &y = args.y;
  const int64_t rows = x.rows, columns = x.columns, group = columns / args.groups;
  // Deviations from the first row, so that a mean far from zero costs no digits.
  svdit_matrix first = x;
  first.rows = 1;
  const std::vector<float> shift = floats(kernels_, first, columns, 0);
  const int64_t tasks = row_tasks(rows, columns);
  std::vector<double> sums(static_cast<size_t>(tasks * 2 * columns));
  pool_.for_each(tasks, [&](int64_t task) {
    double *const own = &sums[task * 2 * columns];
    kernels_.sum({x.data, x.row_stride, x.element_type, columns, shift.data(), own, own + columns},
                 rows * task / tasks, rows * (task + 1) / tasks);
  });

  std::vector<float> factor = floats(kernels_, args.weight, columns, 1);
  std::vector<float> offset = floats(kernels_, args.bias, columns, 0);
  for (int64_t begin = 0; begin < columns; begin += group) {
    std::vector<double> mean(group), square(group);
    double all = 0, variance = 0;
    for (int64_t c = 0; c < group; ++c) {
      for (int64_t task = 0; task < tasks; ++task) {
        mean[c] += sums[task * 2 * columns + begin + c] / static_cast<double>(rows);
        square[c] += sums[(task * 2 + 1) * columns + begin + c] / static_cast<double>(rows);
      }
      square[c] -= mean[c] * mean[c];
      mean[c] += shift[begin + c];
      all += mean[c] / static_cast<double>(group);
    }
    for (int64_t c = 0; c < group; ++c)
      variance += (square[c] + (mean[c] - all) * (mean[c] - all)) / static_cast<double>(group);
    const double scale = 1 / std::sqrt(variance + args.epsilon);
    for (int64_t c = begin; c < begin + group; ++c) {
      const double f = factor[c] * scale;
      factor[c] = static_cast<float>(f);
      offset[c] = static_cast<float>(offset[c] - all * f);
    }
  }

  AffineRows affine = {x.data,         y.data,         x.row_stride,  y.row_stride,
                       x.element_type, y.element_type, columns,       factor.data(),
                       offset.data(),  args.activation == SVDIT_ACTIVATION_SILU};
  if (args.scale.data == nullptr) {
    pool_.for_each(tasks, [&](int64_t task) {
      kernels_.affine(affine, rows * task / tasks, rows * (task + 1) / tasks);
    });
    return;
  }
  // The pixels of a row that see the same pixel of the maps have one factor and offset.
  pool_.for_each(int64_t{args.frames} * args.height, [&](int64_t line) {
    thread_local std::vector<float> own;
    own.resize(2 * columns);
    const int64_t t = line / args.height, h = line % args.height;
    const int64_t map_line = map_frame(t, args.frames, args.map_frames) * args.map_height +
                             h * args.map_height / args.height;
    AffineRows part = affine;
    part.factor = own.data();
    part.offset = own.data() + columns;
    for (int64_t begin = 0, end; begin < args.width; begin = end) {
      const int64_t column = begin * args.map_width / args.width;
      end = begin + 1;
      while (end < args.width && end * args.map_width / args.width == column) ++end;
      const int64_t pixel = map_line * args.map_width + column;
      float *const f = own.data(), *const o = own.data() + columns;
      kernels_.convert({row_of(args.scale, pixel), f, columns, columns, args.scale.element_type,
                        SVDIT_FP32, columns, SVDIT_ACTIVATION_NONE},
                       0, 1);
      kernels_.convert({row_of(args.shift, pixel), o, columns, columns, args.shift.element_type,
                        SVDIT_FP32, columns, SVDIT_ACTIVATION_NONE},
                       0, 1);
      for (int64_t c = 0; c < columns; ++c) {
        o[c] += f[c] * offset[c];
        f[c] *= factor[c];
      }
      kernels_.affine(part, line * args.width + begin, line * args.width + end);
    }
  });
}

void CpuOperations::spread(const svdit_spread_args &args, svdit_stream stream) {
  require_no_stream(stream);
  const int64_t in = args.x.columns, out = args.y.columns, across = args.factor;
  const int64_t parts = args.factor_frames * across * across;
  const int64_t height = args.height * across, width = args.width * across;
  pool_.for_each(args.y.rows / width, [&](int64_t line) {
    thread_local std::vector<float> from, dealt;
    from.resize(in);
    dealt.resize(out);
    const int64_t t = line / height + args.first, h = line % height;
    for (int64_t w = 0; w < width; ++w) {
      const int64_t pixel =
          (t / args.factor_frames * args.height + h / across) * args.width + w / across;
      const int64_t part =
          (t % args.factor_frames * across + h % across) * across + w % across;
      kernels_.convert({row_of(args.x, pixel), from.data(), in, in, args.x.element_type,
                        SVDIT_FP32, in, SVDIT_ACTIVATION_NONE},
                       0, 1);
      for (int64_t o = 0; o < out; ++o) dealt[o] = from[(o * parts + part) * in / (out * parts)];
      kernels_.residual({dealt.data(), row_of(args.y, line * width + w), out, out, SVDIT_FP32,
                         args.y.element_type, out, nullptr},
                        0, 1);
    }
  });
}

}  // namespace svdit::cpu
