// The CUDA kernels of a denoiser's other operations in the simulator, against double arithmetic and
// the CPU's own operations: every norm shape, all element types, strides and addresses that allow
// 16-byte pieces and such that do not. What lies between the rows must stay as it was, and nothing
// past an allocation's end may be touched (AddressSanitizer watches).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "cpu/ops/ops_rows.h"
#include "test/cases.h"
#include "test/sim/simulated_ops.h"

using namespace svdit::test;
namespace cuda = svdit::cuda;

namespace {

constexpr uint32_t kTypes[] = {SVDIT_BF16, SVDIT_FP16, SVDIT_FP32};
const char *name_of(uint32_t type) {
  return type == SVDIT_BF16 ? "bf16" : type == SVDIT_FP16 ? "fp16" : "fp32";
}
int64_t bytes_of(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }

// How a matrix lies in memory: gap elements between rows, first elements before the data.
struct Place {
  int64_t gap, first;
};
constexpr Place kWhole = {8, 0}, kOdd = {3, 1}, kTight = {0, 0};

class Matrix {
 public:
  Matrix(uint32_t type, int64_t rows, int64_t columns, Place place = kTight)
      : type_(type),
        rows_(rows),
        columns_(columns),
        stride_(columns + place.gap),
        bytes_(((rows - 1) * stride_ + columns + place.first) * bytes_of(type)),
        memory_(new char[bytes_]),
        data_(memory_.get() + place.first * bytes_of(type)) {
    std::memset(memory_.get(), kFill, bytes_);
  }
  void fill(Random &random, double mean = 0, double deviation = 1) {
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = 0; c < columns_; ++c)
        from_float(type_, (float)(mean + deviation * random.normal()), at(r, c));
    }
  }
  double operator()(int64_t row, int64_t column) const { return to_double(type_, at(row, column)); }
  bool gaps_untouched() const {
    const int64_t row_bytes = columns_ * bytes_of(type_), stride = stride_ * bytes_of(type_);
    for (int64_t i = 0; i < bytes_; ++i) {
      const int64_t from = i - (data_ - memory_.get());
      if (from >= 0 && from % stride < row_bytes) continue;
      if (memory_[i] != kFill) return false;
    }
    return true;
  }
  svdit_matrix matrix() const {
    svdit_matrix m{};
    m.data = data_;
    m.extent_bytes = (uint64_t)(bytes_ - (data_ - memory_.get()));
    m.rows = rows_;
    m.columns = columns_;
    m.row_stride = stride_;
    m.element_type = type_;
    return m;
  }
  svdit_matrix rows(int64_t begin, int64_t end) const {
    svdit_matrix m = matrix();
    m.data = at(begin, 0);
    m.rows = end - begin;
    return m;
  }
  char *at(int64_t row, int64_t column) const {
    return data_ + (row * stride_ + column) * bytes_of(type_);
  }
  int64_t stride() const { return stride_; }
  uint32_t type() const { return type_; }

 private:
  static constexpr char kFill = 0x5a;
  uint32_t type_;
  int64_t rows_, columns_, stride_, bytes_;
  std::unique_ptr<char[]> memory_;
  char *data_;
};

// Half of the spacing of a type's numbers at value.
double rounding(double value, uint32_t type) {
  const double smallest = type == SVDIT_FP16 ? 0x1p-14 : 0x1p-126;
  const double unit = type == SVDIT_FP32 ? 0x1p-24 : type == SVDIT_BF16 ? 0x1p-8 : 0x1p-11;
  int exponent;
  std::frexp(std::max(std::fabs(value), smallest), &exponent);
  return std::ldexp(unit, exponent - (type == SVDIT_FP32 ? 0 : 1));
}

void expect_near(double got, double want, double slack, uint32_t type, int64_t row,
                 int64_t column) {
  if (std::fabs(got - want) <= slack + rounding(want, type)) return;
  report.fail("[%lld, %lld] is %.9g, expected %.9g", (long long)row, (long long)column, got, want);
}

// Runs body, which launches kernels; a fault or refusal fails the case.
void guarded(const std::function<void()> &body) {
  try {
    body();
  } catch (const std::exception &error) {
    report.fail("%s", error.what());
  }
}

struct NormCase {
  int64_t rows, groups, group;
  bool rms;
  uint32_t x_type, y_type, weight_type;
  Place place;
  bool affine, per_group, modulated, added, gated;
  int32_t head_dim;  // 0: nothing is rotated
  int64_t rope_begin, rope_end;

  std::string name() const {
    std::string n = std::string(rms ? "rms " : "layer ") + name_of(x_type) + " to " +
                    name_of(y_type) + " [" + std::to_string(rows) + ", " + std::to_string(groups) +
                    " x " + std::to_string(group) + "]";
    if (place.first != 0) n += " unaligned";
    if (affine) n += per_group ? " affine per group" : " affine";
    if (modulated) n += " modulated";
    if (added) n += gated ? " after a gated residual" : " after a residual";
    if (head_dim != 0) n += " rotated by " + std::to_string(head_dim);
    return n;
  }
};

void test_norm(const NormCase &c, uint64_t seed) {
  report.run(c.name(), [&] {
    Random random(seed);
    const int64_t columns = c.groups * c.group;
    const double epsilon = 1e-6f;
    Matrix x(c.x_type, c.rows, columns, c.place), y(c.y_type, c.rows, columns, c.place);
    Matrix added(c.y_type, c.rows, columns, c.place), gate(SVDIT_FP32, 1, columns);
    Matrix weight(c.weight_type, 1, c.per_group ? c.group : columns);
    Matrix bias(c.weight_type, 1, c.per_group ? c.group : columns);
    Matrix scale(SVDIT_FP32, 1, columns), shift(SVDIT_FP32, 1, columns);
    const int64_t pairs = std::max(1, c.head_dim / 2),
                  turned = std::max<int64_t>(1, c.rope_end - c.rope_begin);
    Matrix cosine(SVDIT_FP32, turned, pairs, {4, 0}), sine(SVDIT_FP32, turned, pairs, {8, 0});
    x.fill(random, 0.4, 2);
    for (Matrix *m : {&added, &gate, &weight, &bias, &scale, &shift, &cosine, &sine})
      m->fill(random, 0.2);
    const Matrix *const before = &x;
    std::vector<double> input((size_t)(c.rows * columns));
    for (int64_t i = 0; i < c.rows * columns; ++i) {
      const int64_t r = i / columns, k = i % columns;
      input[i] = (*before)(r, k) + (c.added ? added(r, k) * (c.gated ? gate(0, k) : 1) : 0);
    }

    svdit_norm_args args{};
    args.struct_bytes = sizeof args;
    args.kind = c.rms ? SVDIT_NORM_RMS : SVDIT_NORM_LAYER;
    args.x = x.matrix();
    args.y = y.matrix();
    if (c.affine) args.weight = weight.matrix(), args.bias = bias.matrix();
    if (c.modulated) args.scale = scale.matrix(), args.shift = shift.matrix();
    args.group_columns = c.group;
    args.epsilon = 1e-6f;
    guarded([&] {
      cuda::NormLaunch launch = cuda::prepare_norm(args);
      if (c.added) {
        svdit_residual_args residual{};
        residual.x = added.matrix();
        if (c.gated) residual.gate = gate.matrix();
        residual.y = args.x;
        EXPECT(cuda::add_residual(residual, &launch));
      }
      if (c.head_dim != 0) {
        svdit_rope_args rope{};
        rope.head_dim = c.head_dim;
        rope.x = y.rows(c.rope_begin, c.rope_end);
        rope.cosine = cosine.matrix();
        rope.sine = sine.matrix();
        EXPECT(cuda::add_rope(rope, &launch));
      }
      EXPECT(launch.params.whole_pieces ==
             (c.place.first == 0 && (c.groups == 1 || c.group % 8 == 0) &&
              (columns + c.place.gap) % 8 == 0 && c.head_dim % 8 == 0));
      const svdit::sim::Report counted = run(launch, seed);
      EXPECT(counted.bank_conflicts == 0);
    });

    for (int64_t r = 0; r < c.rows; ++r) {
      std::vector<double> wanted((size_t)columns), slack((size_t)columns);
      for (int64_t begin = 0; begin < columns; begin += c.group) {
        const double *in = &input[r * columns + begin];
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < c.group; ++i) mean += c.rms ? 0 : in[i] / c.group;
        for (int64_t i = 0; i < c.group; ++i) variance += std::pow(in[i] - mean, 2) / c.group;
        for (int64_t i = 0; i < c.group; ++i) {
          const int64_t k = begin + i, at = c.per_group ? i : k;
          double v = (in[i] - mean) / std::sqrt(variance + epsilon);
          double size = std::fabs(v) + 1;
          if (c.affine) v = v * weight(0, at) + bias(0, at), size *= std::fabs(weight(0, at)) + 1;
          if (c.modulated)
            v = v * (1 + scale(0, k)) + shift(0, k), size *= 1 + std::fabs(scale(0, k));
          wanted[k] = v;
          slack[k] = 1e-6 * (size + std::fabs(v));
          if (c.added) expect_near(x(r, k), in[i], 2e-7 * (std::fabs(in[i]) + 4), c.x_type, r, k);
        }
      }
      if (c.head_dim != 0 && r >= c.rope_begin && r < c.rope_end) {
        for (int64_t k = 0; k < columns; k += 2) {
          const double a = wanted[k], b = wanted[k + 1];
          const double cos = cosine(r - c.rope_begin, k % c.head_dim / 2);
          const double sin = sine(r - c.rope_begin, k % c.head_dim / 2);
          wanted[k] = a * cos - b * sin;
          wanted[k + 1] = b * cos + a * sin;
          slack[k] = slack[k + 1] =
              (slack[k] + slack[k + 1]) * (std::fabs(cos) + std::fabs(sin) + 1);
        }
      }
      for (int64_t k = 0; k < columns; ++k)
        expect_near(y(r, k), wanted[k], slack[k], c.y_type, r, k);
    }
    EXPECT(x.gaps_untouched() && y.gaps_untouched() && added.gaps_untouched());
  });
}

// Every shape at its longest group and a shorter one, all pairs of types, whole pieces and not.
void test_norms() {
  uint64_t seed = 1;
  for (const cuda::NormShape &shape : cuda::kNormShapes) {
    const int64_t most = shape.columns();
    for (int variant = 0; variant < 4; ++variant, ++seed) {
      const uint32_t x = kTypes[seed % 3], y = kTypes[(seed / 3 + variant) % 3];
      const bool odd = variant == 1;
      const int64_t group = variant == 0 ? most : odd ? most - 5 : most - 8;
      NormCase c{.rows = most > 1000 ? 2 : 5,
                 .groups = most <= 128 ? 3 : 1,
                 .group = group,
                 .rms = seed % 2 == 0,
                 .x_type = x,
                 .y_type = y,
                 .weight_type = kTypes[seed % 2 * 2],
                 .place = odd            ? kOdd
                          : variant == 2 ? kWhole
                                         : kTight,
                 .affine = variant != 2,
                 .per_group = variant == 0,
                 .modulated = variant >= 2,
                 .added = variant == 3,
                 .gated = true,
                 .head_dim = 0,
                 .rope_begin = 0,
                 .rope_end = 0};
      test_norm(c, seed);
    }
  }
}

// The families' own: what is fused in each of them, at their widths a head or a row.
void test_families() {
  const NormCase wan{.rows = 3,
                     .groups = 1,
                     .group = 1536,
                     .rms = false,
                     .x_type = SVDIT_FP32,
                     .y_type = SVDIT_BF16,
                     .weight_type = SVDIT_BF16,
                     .place = kTight,
                     .affine = false,
                     .per_group = false,
                     .modulated = true,
                     .added = false,
                     .gated = false,
                     .head_dim = 0,
                     .rope_begin = 0,
                     .rope_end = 0};
  test_norm(wan, 100);
  NormCase c = wan;  // the query, in place of rows, with its rotation
  c.rms = true, c.x_type = SVDIT_BF16, c.affine = true, c.modulated = false;
  c.head_dim = 128, c.rope_end = 3;
  test_norm(c, 101);
  c = wan;  // after attention: gated residual and the affine norm of cross-attention
  c.added = c.gated = c.affine = true, c.modulated = false;
  test_norm(c, 102);
  c.gated = false, c.affine = false, c.modulated = true;  // after cross-attention
  test_norm(c, 103);
  // HunyuanVideo: RMS norm a head, video rows rotated, text rows not.
  c = {.rows = 5,
       .groups = 3,
       .group = 128,
       .rms = true,
       .x_type = SVDIT_BF16,
       .y_type = SVDIT_BF16,
       .weight_type = SVDIT_BF16,
       .place = kWhole,
       .affine = true,
       .per_group = true,
       .modulated = false,
       .added = false,
       .gated = false,
       .head_dim = 128,
       .rope_begin = 0,
       .rope_end = 3};
  test_norm(c, 104);
  // CogVideoX: layer norm a head with bias, text rows first.
  c.rms = false, c.group = 64, c.head_dim = 64, c.rope_begin = 2, c.rope_end = 5;
  test_norm(c, 105);
  c.place = kOdd;
  test_norm(c, 106);
  // The tiny checkpoints' heads.
  c.group = 12, c.head_dim = 12;
  test_norm(c, 107);
  c.group = 24, c.head_dim = 24, c.place = kTight, c.x_type = c.y_type = SVDIT_FP32;
  test_norm(c, 108);
}

void test_refusals() {
  report.run("norms too long are refused by name, fusions that do not fit are not made", [] {
    Matrix x(SVDIT_BF16, 1, 8200);
    svdit_norm_args args{};
    args.x = args.y = x.matrix();
    args.group_columns = 8200;
    try {
      cuda::prepare_norm(args);
      report.fail("not refused");
    } catch (const svdit::Error &error) {
      EXPECT(error.status() == SVDIT_UNSUPPORTED && std::strstr(error.what(), "8192") != nullptr);
    }
    args.group_columns = 5;
    cuda::NormLaunch launch = cuda::prepare_norm(args);
    svdit_rope_args rope{};
    rope.x = args.y;
    rope.head_dim = 10;
    EXPECT(!cuda::add_rope(rope, &launch));
  });
}

double activated(uint32_t activation, double x) {
  if (activation == SVDIT_ACTIVATION_SILU) return x / (1 + std::exp(-x));
  if (activation == SVDIT_ACTIVATION_GELU_TANH)
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  if (activation == SVDIT_ACTIVATION_GELU_ERF) return 0.5 * x * std::erfc(-x / std::sqrt(2));
  if (activation == SVDIT_ACTIVATION_QUICK_GELU) return x / (1 + std::exp(-1.702 * x));
  return x;
}

void test_conversions() {
  uint64_t seed = 1;
  for (uint32_t x_type : kTypes) {
    for (uint32_t y_type : kTypes) {
      for (uint32_t activation = 0; activation <= SVDIT_ACTIVATION_QUICK_GELU;
           ++activation, ++seed) {
        const Place place = seed % 3 == 0 ? kTight : seed % 3 == 1 ? kWhole : kOdd;
        const int64_t rows = 7, columns = seed % 5 == 0 ? 333 : 64;
        report.run(std::string("convert ") + name_of(x_type) + " to " + name_of(y_type) +
                       " activation " + std::to_string(activation) + " columns " +
                       std::to_string(columns) + " gap " + std::to_string(place.gap),
                   [&] {
                     Random random(seed);
                     Matrix x(x_type, rows, columns, place), y(y_type, rows, columns, place);
                     Matrix cpu(y_type, rows, columns, place);
                     x.fill(random, 0, 3);
                     svdit_convert_args args{};
                     args.x = x.matrix();
                     args.y = y.matrix();
                     args.activation = activation;
                     guarded([&] { run(cuda::prepare_convert(args), seed); });
                     svdit::cpu::kRowKernelsPortable.convert(
                         {x.at(0, 0), cpu.at(0, 0), x.stride(), cpu.stride(), x_type, y_type,
                          columns, activation},
                         0, rows);
                     for (int64_t r = 0; r < rows; ++r) {
                       for (int64_t k = 0; k < columns; ++k) {
                         const double want = activated(activation, x(r, k));
                         const double slack = activation == 0 ? 0 : 2e-6 * (std::fabs(want) + 1e-2);
                         expect_near(y(r, k), want, slack, y_type, r, k);
                         expect_near(y(r, k), cpu(r, k), 2 * slack + rounding(want, y_type), y_type,
                                     r, k);
                       }
                     }
                     EXPECT(y.gaps_untouched());
                   });
      }
    }
  }
}

// What follows a product that cuBLASLt cannot finish itself.
void test_bias() {
  for (uint32_t y_type : kTypes) {
    report.run(std::string("bias and SiLU in place, ") + name_of(y_type), [&] {
      Random random(3);
      Matrix y(y_type, 5, 40, kWhole), bias(SVDIT_BF16, 1, 40);
      y.fill(random), bias.fill(random);
      std::vector<double> before;
      for (int64_t i = 0; i < 200; ++i) before.push_back(y(i / 40, i % 40));
      guarded(
          [&] { run(cuda::prepare_bias(y.matrix(), bias.matrix(), SVDIT_ACTIVATION_SILU), 4); });
      for (int64_t i = 0; i < 200; ++i) {
        const double want = activated(SVDIT_ACTIVATION_SILU, before[i] + bias(0, i % 40));
        expect_near(y(i / 40, i % 40), want, 2e-6 * (std::fabs(want) + 1), y_type, i / 40, i % 40);
      }
      EXPECT(y.gaps_untouched());
    });
  }
}

void test_residuals() {
  uint64_t seed = 1;
  for (uint32_t x_type : kTypes) {
    for (uint32_t y_type : {x_type, (uint32_t)SVDIT_FP32}) {
      for (const Place &place : {kTight, kWhole, kOdd}) {
        for (bool gated : {false, true}) {
          ++seed;
          report.run(
              std::string("residual ") + name_of(x_type) + " to " + name_of(y_type) + " gap " +
                  std::to_string(place.gap) + (gated ? " gated" : ""),
              [&] {
                Random random(seed);
                const int64_t rows = 6, columns = seed % 2 == 0 ? 96 : 41;
                Matrix x(x_type, rows, columns, place), y(y_type, rows, columns, place);
                Matrix gate(SVDIT_FP32, 1, columns), cpu(y_type, rows, columns, place);
                x.fill(random), y.fill(random), gate.fill(random);
                for (int64_t r = 0; r < rows; ++r)
                  std::memcpy(cpu.at(r, 0), y.at(r, 0), (size_t)(columns * bytes_of(y_type)));
                Matrix before(y_type, rows, columns, place);
                for (int64_t r = 0; r < rows; ++r)
                  std::memcpy(before.at(r, 0), y.at(r, 0), (size_t)(columns * bytes_of(y_type)));
                svdit_residual_args args{};
                args.x = x.matrix();
                args.y = y.matrix();
                if (gated) args.gate = gate.matrix();
                guarded([&] { run(cuda::prepare_residual(args), seed); });
                svdit::cpu::kRowKernelsPortable.residual(
                    {x.at(0, 0), cpu.at(0, 0), x.stride(), cpu.stride(), x_type, y_type, columns,
                     gated ? reinterpret_cast<const float *>(gate.at(0, 0)) : nullptr},
                    0, rows);
                for (int64_t r = 0; r < rows; ++r) {
                  for (int64_t k = 0; k < columns; ++k) {
                    const double more = x(r, k) * (gated ? gate(0, k) : 1);
                    const double want = before(r, k) + more;
                    const double slack = 1.2e-7 * (std::fabs(more) + std::fabs(want));
                    expect_near(y(r, k), want, slack, y_type, r, k);
                    expect_near(y(r, k), cpu(r, k), slack + rounding(want, y_type), y_type, r, k);
                  }
                }
                EXPECT(y.gaps_untouched());
              });
        }
      }
    }
  }
}

// Rows of one group of columns, of several, and longer than a block's threads take at once.
void test_softmaxes() {
  uint64_t seed = 1;
  for (uint32_t x_type : kTypes) {
    for (uint32_t y_type : kTypes) {
      for (const int64_t columns : {9, 64, 2500}) {
        ++seed;
        const Place place = seed % 3 == 0 ? kTight : seed % 3 == 1 ? kWhole : kOdd;
        const bool biased = seed % 2 == 0;
        const int64_t group = (int64_t)(seed / 2 % 3), first_row = group == 0 ? 0 : 3;
        const int64_t valid = seed % 5 == 0 ? columns : columns - 3;
        report.run(std::string("softmax ") + name_of(x_type) + " to " + name_of(y_type) + " " +
                       std::to_string(valid) + " of " + std::to_string(columns) + " group " +
                       std::to_string(group) + " gap " + std::to_string(place.gap),
                   [&] {
                     Random random(seed);
                     const int64_t rows = 6;
                     Matrix x(x_type, rows, columns, place), y(y_type, rows, columns, place);
                     Matrix bias(SVDIT_FP32, rows, columns, place);
                     x.fill(random, 0, 4), bias.fill(random, 0, 3);
                     svdit_softmax_args args{};
                     args.scale = 0.7f;
                     args.x = x.matrix();
                     args.y = y.matrix();
                     if (biased) args.bias = bias.matrix();
                     args.valid = valid, args.first_row = first_row, args.group = group;
                     guarded([&] { run(cuda::prepare_softmax(args), seed); });
                     for (int64_t r = 0; r < rows; ++r) {
                       std::vector<double> weight((size_t)columns);
                       double sum = 0;
                       for (int64_t k = 0; k < columns; ++k) {
                         const bool seen =
                             k < valid && (group == 0 || k / group <= (first_row + r) / group);
                         if (seen) weight[k] = std::exp(0.7 * x(r, k) + (biased ? bias(r, k) : 0));
                         sum += weight[k];
                       }
                       for (int64_t k = 0; k < columns; ++k)
                         expect_near(y(r, k), weight[k] / sum, 6e-6 * weight[k] / sum, y_type, r,
                                     k);
                     }
                     EXPECT(y.gaps_untouched());
                   });
      }
    }
  }
}

void test_multiplies_and_transposes() {
  uint64_t seed = 1;
  for (uint32_t type : kTypes) {
    for (uint32_t y_type : kTypes) {
      for (const Place &place : {kWhole, kOdd}) {
        ++seed;
        report.run(std::string("multiply and transpose ") + name_of(type) + " to " +
                       name_of(y_type) + " gap " + std::to_string(place.gap),
                   [&] {
                     Random random(seed);
                     const int64_t rows = 5, columns = seed % 2 == 0 ? 48 : 67;
                     Matrix a(type, rows, columns, place), b(SVDIT_BF16, rows, columns, place);
                     Matrix y(y_type, rows, columns, place), turned(type, columns, rows, place);
                     a.fill(random), b.fill(random);
                     svdit_multiply_args multiply{};
                     multiply.a = a.matrix(), multiply.b = b.matrix(), multiply.y = y.matrix();
                     svdit_transpose_args transpose{};
                     transpose.x = a.matrix(), transpose.y = turned.matrix();
                     guarded([&] {
                       run(cuda::prepare_multiply(multiply), seed);
                       run(cuda::prepare_transpose(transpose), seed);
                     });
                     for (int64_t r = 0; r < rows; ++r) {
                       for (int64_t k = 0; k < columns; ++k) {
                         const double want = a(r, k) * b(r, k);
                         expect_near(y(r, k), want, 6e-8 * std::fabs(want), y_type, r, k);
                         EXPECT(turned(k, r) == a(r, k));
                       }
                     }
                     EXPECT(y.gaps_untouched() && turned.gaps_untouched());
                   });
      }
    }
  }
}

void test_ropes(bool halves) {
  uint64_t seed = 1;
  for (uint32_t type : kTypes) {
    for (const int32_t head_dim : {2, 12, 24, 64, 128}) {
      for (const Place &place : {kWhole, kOdd}) {
        ++seed;
        report.run(
            std::string(halves ? "rope by halves " : "rope ") + name_of(type) + " heads of " +
                std::to_string(head_dim) + " gap " + std::to_string(place.gap),
            [&] {
              Random random(seed);
              const int64_t rows = 4, columns = 3 * head_dim;
              Matrix x(type, rows, columns, place), before(type, rows, columns);
              Matrix cosine(SVDIT_FP32, rows, head_dim / 2, kWhole),
                  sine(SVDIT_FP32, rows, head_dim / 2);
              x.fill(random), cosine.fill(random), sine.fill(random);
              for (int64_t r = 0; r < rows; ++r)
                std::memcpy(before.at(r, 0), x.at(r, 0), (size_t)(columns * bytes_of(type)));
              svdit_rope_args args{};
              args.head_dim = head_dim;
              args.x = x.matrix();
              args.cosine = cosine.matrix();
              args.sine = sine.matrix();
              guarded([&] {
                if (halves) {
                  run(cuda::prepare_rope_halves(args), seed);
                } else {
                  run(cuda::prepare_rope(args), seed);
                }
              });
              const int64_t pairs = head_dim / 2, apart = halves ? pairs : 1;
              for (int64_t r = 0; r < rows; ++r) {
                for (int64_t p = 0; p < 3 * pairs; ++p) {
                  const int64_t i = p % pairs;
                  const int64_t k = p / pairs * head_dim + (halves ? i : 2 * i);
                  const double a = before(r, k), b = before(r, k + apart);
                  const double cos = cosine(r, i), sin = sine(r, i);
                  const double slack =
                      2e-7 * (std::fabs(a) + std::fabs(b)) * (std::fabs(cos) + std::fabs(sin));
                  expect_near(x(r, k), a * cos - b * sin, slack, type, r, k);
                  expect_near(x(r, k + apart), b * cos + a * sin, slack, type, r, k + apart);
                }
              }
              EXPECT(x.gaps_untouched());
            });
      }
    }
  }
}

}  // namespace

int main() {
  test_norms();
  test_families();
  test_refusals();
  test_conversions();
  test_bias();
  test_residuals();
  test_ropes(false);
  test_ropes(true);
  test_softmaxes();
  test_multiplies_and_transposes();
  return report.finish();
}
