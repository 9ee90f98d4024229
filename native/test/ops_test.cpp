// The row kernels of every tier this processor has against double arithmetic, on awkward shapes and
// strides. Every matrix ends at a protected page.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cpu/ops/ops_rows.h"
#include "cpu/tiers.h"
#include "svdit.h"
#include "test/cases.h"

namespace {

using svdit::cpu::RowKernels;

int passed = 0, failed = 0;

void expect(bool ok, const std::string &name, double error, double bound) {
  std::printf("%s %s: error %.3g, bound %.3g\n", ok ? "ok  " : "FAIL", name.c_str(), error, bound);
  ++(ok ? passed : failed);
}

// Conversions written apart from the kernels': by arithmetic on values, not on bits.
double decode(const uint8_t *bytes, int64_t index, uint32_t type) {
  if (type == SVDIT_FP32) {
    float value;
    std::memcpy(&value, &bytes[index * 4], 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, &bytes[index * 2], 2);
  const int exponent_bits = type == SVDIT_BF16 ? 8 : 5;
  const int mantissa_bits = 15 - exponent_bits;
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

double spacing(uint32_t type) {
  return type == SVDIT_FP32 ? 0x1p-23 : type == SVDIT_BF16 ? 0x1p-8 : 0x1p-11;
}

const char *type_name(uint32_t type) {
  return type == SVDIT_FP32 ? "fp32" : type == SVDIT_BF16 ? "bf16" : "fp16";
}

// Half of the spacing of a type's numbers at value: the error of one rounding to nearest.
double rounding(double value, uint32_t type) {
  const double smallest = type == SVDIT_FP16 ? 0x1p-14 : 0x1p-126;
  int exponent;
  std::frexp(std::max(std::fabs(value), smallest), &exponent);
  return std::ldexp(spacing(type), exponent - 1) * (type == SVDIT_FP32 ? 0.5 : 1);
}

// Its last element is followed by a protected page.
class Matrix {
 public:
  Matrix(int64_t rows, int64_t columns, int64_t stride, uint32_t type)
      : rows(rows),
        columns(columns),
        stride(stride),
        type(type),
        memory_(((rows - 1) * stride + columns) * size()) {
    std::memset(bytes(), kFill, elements() * size());
  }
  Matrix(const Matrix &other) : Matrix(other.rows, other.columns, other.stride, other.type) {
    std::memcpy(bytes(), other.bytes(), elements() * size());
  }
  uint8_t *bytes() const { return static_cast<uint8_t *>(memory_.data()); }
  float *floats() const { return static_cast<float *>(memory_.data()); }
  int64_t size() const { return type == SVDIT_FP32 ? 4 : 2; }
  int64_t elements() const { return (rows - 1) * stride + columns; }
  double operator()(int64_t row, int64_t column) const {
    return decode(bytes(), row * stride + column, type);
  }
  // Whether the rows before `first`, and what lies between rows, is as it was made.
  bool untouched_but_from(int64_t first) const {
    for (int64_t i = 0; i < elements(); ++i) {
      if (i / stride >= first && i % stride < columns) continue;
      for (int64_t b = 0; b < size(); ++b) {
        if (bytes()[i * size() + b] != kFill) return false;
      }
    }
    return true;
  }
  void fill(const RowKernels &kernels, std::mt19937 &random, double scale) {
    std::normal_distribution<float> normal(0.3f, static_cast<float>(scale));
    std::vector<float> row(columns);
    for (int64_t r = 0; r < rows; ++r) {
      for (float &value : row) value = normal(random);
      kernels.convert({row.data(), bytes() + r * stride * size(), columns, stride, SVDIT_FP32, type,
                       columns, SVDIT_ACTIVATION_NONE},
                      0, 1);
    }
  }
  const int64_t rows, columns, stride;
  const uint32_t type;

 private:
  static constexpr uint8_t kFill = 0x5a;
  svdit::test::GuardedBytes memory_;
};

struct Tier {
  const char *name;
  const RowKernels *kernels;
};

void test_conversions(const Tier &tier) {
  // Every 16-bit pattern survives a round trip through fp32, and every fp32 near one rounds to the
  // nearest.
  for (uint32_t type : {SVDIT_BF16, SVDIT_FP16}) {
    std::vector<uint8_t> all(65536 * 2), back(65536 * 2), wide(65536 * 4);
    for (int i = 0; i < 65536; ++i) {
      const uint16_t bits = static_cast<uint16_t>(i);
      std::memcpy(&all[i * 2], &bits, 2);
    }
    const auto convert = tier.kernels->convert;
    convert({all.data(), wide.data(), 0, 0, type, SVDIT_FP32, 65536, 0}, 0, 1);
    convert({wide.data(), back.data(), 0, 0, SVDIT_FP32, type, 65536, 0}, 0, 1);
    int wrong = 0;
    for (int i = 0; i < 65536; ++i) {
      const double value = decode(all.data(), i, type),
                   through = decode(wide.data(), i, SVDIT_FP32);
      const double again = decode(back.data(), i, type);
      if (std::isnan(value) ? !std::isnan(through) || !std::isnan(again)
                            : value != through || value != again) {
        ++wrong;
      }
    }
    expect(wrong == 0, std::string(tier.name) + " round trip of " + type_name(type), wrong, 0);

    std::mt19937 random(11);
    std::vector<uint8_t> some(20000 * 4), rounded(20000 * 2);
    for (int i = 0; i < 20000; ++i) {
      const uint32_t bits = random();
      std::memcpy(&some[i * 4], &bits, 4);
      if (i % 4 == 0) {  // ties and values near fp16's range
        const uint32_t tie = (bits & 0x7fffffff) % 0x48000000 & ~0xfffu;
        std::memcpy(&some[i * 4], &tie, 4);
      }
    }
    convert({some.data(), rounded.data(), 0, 0, SVDIT_FP32, type, 20000, 0}, 0, 1);
    double worst = 0;
    const double largest = type == SVDIT_FP16 ? 65504 : 0x1.fep127;
    for (int i = 0; i < 20000; ++i) {
      const double value = decode(some.data(), i, SVDIT_FP32),
                   got = decode(rounded.data(), i, type);
      double error = std::fabs(got - value) / rounding(value, type);
      if (std::isnan(value)) error = std::isnan(got) ? 0 : 9;
      if (std::fabs(value) > largest) error = std::fabs(got) >= largest ? 0 : 9;
      worst = std::max(worst, error);
    }
    expect(worst <= 1, std::string(tier.name) + " rounding to " + type_name(type), worst, 1);
  }
}

void test_activations(const Tier &tier) {
  for (uint32_t activation : {SVDIT_ACTIVATION_SILU, SVDIT_ACTIVATION_GELU_TANH,
                              SVDIT_ACTIVATION_GELU_ERF, SVDIT_ACTIVATION_QUICK_GELU}) {
    const int n = 4001;
    std::vector<float> x(n);
    std::vector<uint8_t> y(n * 4);
    for (int i = 0; i < n; ++i) x[i] = (i - 2000) * 0.0101f;
    x[0] = -1000;
    x[n - 1] = 1000;
    tier.kernels->convert({x.data(), y.data(), 0, 0, SVDIT_FP32, SVDIT_FP32, n, activation}, 0, 1);
    double worst = 0;
    for (int i = 0; i < n; ++i) {
      const double v = x[i];
      const double expected =
          activation == SVDIT_ACTIVATION_SILU         ? v / (1 + std::exp(-v))
          : activation == SVDIT_ACTIVATION_QUICK_GELU ? v / (1 + std::exp(-1.702 * v))
          : activation == SVDIT_ACTIVATION_GELU_ERF
              ? 0.5 * v * std::erfc(-v / std::sqrt(2.0))
              : 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
      worst = std::max(worst, std::fabs(decode(y.data(), i, SVDIT_FP32) - expected) /
                                  (std::fabs(expected) + 1e-3));
    }
    expect(worst < 2e-6,
           std::string(tier.name) + (activation == SVDIT_ACTIVATION_SILU         ? " silu"
                                     : activation == SVDIT_ACTIVATION_QUICK_GELU ? " quick gelu"
                                     : activation == SVDIT_ACTIVATION_GELU_ERF   ? " gelu by erf"
                                                                                 : " gelu"),
           worst, 2e-6);
  }
}

void test_convert(const Tier &tier, uint32_t x_type, uint32_t y_type, int64_t columns) {
  std::mt19937 random(static_cast<unsigned>(columns));
  Matrix x(3, columns, columns + 2, x_type), y(3, columns, columns + 1, y_type);
  x.fill(*tier.kernels, random, 2);
  tier.kernels->convert({x.bytes(), y.bytes(), x.stride, y.stride, x_type, y_type, columns, 0}, 1,
                        3);
  double worst = 0;
  for (int64_t r = 1; r < 3; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      worst = std::max(worst, std::fabs(y(r, c) - x(r, c)) / rounding(x(r, c), y_type));
    }
  }
  expect(worst <= 1 && y.untouched_but_from(1),
         std::string(tier.name) + " convert " + type_name(x_type) + " to " + type_name(y_type) +
             " " + std::to_string(columns),
         worst, 1);
}

void test_norm(const Tier &tier, uint32_t x_type, uint32_t y_type, bool rms, int64_t group,
               int64_t groups, bool affine, bool silu = false) {
  std::mt19937 random(static_cast<unsigned>(group * 7 + groups));
  const int64_t columns = group * groups, rows = 5;
  Matrix x(rows, columns, columns + 3, x_type), y(rows, columns, columns + 5, y_type);
  x.fill(*tier.kernels, random, 2);
  Matrix factor(1, columns, columns, SVDIT_FP32), offset(1, columns, columns, SVDIT_FP32);
  factor.fill(*tier.kernels, random, 1);
  offset.fill(*tier.kernels, random, 1);
  const double epsilon = 1e-6;
  const svdit::cpu::NormRows work = {x.bytes(),
                                     y.bytes(),
                                     x.stride,
                                     y.stride,
                                     x_type,
                                     y_type,
                                     columns,
                                     group,
                                     1e-6f,
                                     rms,
                                     affine ? factor.floats() : nullptr,
                                     affine ? offset.floats() : nullptr,
                                     silu};
  tier.kernels->norm(work, 1, rows);
  double worst = 0;
  for (int64_t r = 1; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t begin = c / group * group;
      double mean = 0, variance = 0;
      for (int64_t i = begin; i < begin + group; ++i) mean += rms ? 0 : x(r, i) / group;
      for (int64_t i = begin; i < begin + group; ++i)
        variance += std::pow(x(r, i) - mean, 2) / group;
      double expected = (x(r, c) - mean) / std::sqrt(variance + epsilon);
      if (affine) expected = expected * factor(0, c) + offset(0, c);
      if (silu) expected = expected / (1 + std::exp(-expected));
      worst = std::max(worst, std::fabs(y(r, c) - expected) / (2e-6 + rounding(expected, y_type)));
    }
  }
  expect(worst <= 1 && y.untouched_but_from(1),
         std::string(tier.name) + (rms ? " rms " : " layer ") + type_name(x_type) + " to " +
             type_name(y_type) + " group " + std::to_string(group) + " x " +
             std::to_string(groups) + (affine ? " affine" : "") + (silu ? " SiLU" : ""),
         worst, 1);
}

void test_rope(const Tier &tier, uint32_t type, int64_t heads, int64_t head_dim, bool halves) {
  std::mt19937 random(static_cast<unsigned>(head_dim));
  const int64_t rows = 4, columns = heads * head_dim;
  Matrix x(rows, columns, columns + 6, type);
  x.fill(*tier.kernels, random, 2);
  Matrix cosine(rows, head_dim / 2, head_dim / 2 + 1, SVDIT_FP32);
  Matrix sine(rows, head_dim / 2, head_dim / 2 + 2, SVDIT_FP32);
  cosine.fill(*tier.kernels, random, 1);
  sine.fill(*tier.kernels, random, 1);
  const Matrix before = x;
  tier.kernels->rope({x.bytes(), x.stride, type, heads, head_dim, cosine.floats(), sine.floats(),
                      cosine.stride, sine.stride, halves},
                     0, rows);
  const int64_t pairs = head_dim / 2, apart = halves ? pairs : 1;
  double worst = 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t p = 0; p < heads * pairs; ++p) {
      const int64_t i = p % pairs, c = p / pairs * head_dim + (halves ? i : 2 * i);
      const double a = before(r, c), b = before(r, c + apart);
      const double cos = cosine(r, i), sin = sine(r, i);
      for (const auto &[got, want] :
           {std::pair{x(r, c), a * cos - b * sin}, {x(r, c + apart), b * cos + a * sin}}) {
        const double slack =
            2e-7 * (std::fabs(a) + std::fabs(b)) * (std::fabs(cos) + std::fabs(sin));
        worst = std::max(worst, std::fabs(got - want) / (slack + rounding(want, type)));
      }
    }
  }
  expect(worst <= 1 && x.untouched_but_from(0),
         std::string(tier.name) + " rope " + type_name(type) + " " + std::to_string(heads) + " x " +
             std::to_string(head_dim) + (halves ? " by halves" : ""),
         worst, 1);
}

void test_residual(const Tier &tier, uint32_t x_type, uint32_t y_type, int64_t columns,
                   bool gated) {
  std::mt19937 random(static_cast<unsigned>(columns));
  Matrix x(3, columns, columns + 1, x_type), y(3, columns, columns + 2, y_type);
  Matrix gate(1, columns, columns, SVDIT_FP32);
  x.fill(*tier.kernels, random, 2);
  y.fill(*tier.kernels, random, 2);
  gate.fill(*tier.kernels, random, 1);
  const Matrix before = y;
  tier.kernels->residual({x.bytes(), y.bytes(), x.stride, y.stride, x_type, y_type, columns,
                          gated ? gate.floats() : nullptr},
                         0, 3);
  double worst = 0;
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const double added = x(r, c) * (gated ? gate(0, c) : 1), want = before(r, c) + added;
      worst = std::max(
          worst, std::fabs(y(r, c) - want) /
                     (1.2e-7 * (std::fabs(added) + std::fabs(want)) + rounding(want, y_type)));
    }
  }
  expect(worst <= 1 && y.untouched_but_from(0),
         std::string(tier.name) + " residual " + type_name(x_type) + " to " + type_name(y_type) +
             " " + std::to_string(columns) + (gated ? " gated" : ""),
         worst, 1);
}

// Rows 1 to 8 of a softmax, whose first rows are not written.
void test_softmax(const Tier &tier, uint32_t x_type, uint32_t y_type, int64_t columns,
                  int64_t valid, int64_t first_row, int64_t group, bool biased) {
  std::mt19937 random(static_cast<unsigned>(columns * 3 + valid));
  const int64_t rows = 9;
  const float scale = 0.7f;
  Matrix x(rows, columns, columns + 3, x_type), y(rows, columns, columns + 1, y_type);
  Matrix bias(rows, columns, columns + 2, SVDIT_FP32);
  x.fill(*tier.kernels, random, 4);
  bias.fill(*tier.kernels, random, 3);
  tier.kernels->softmax(
      {x.bytes(), biased ? bias.floats() : nullptr, y.bytes(), x.stride, bias.stride, y.stride,
       x_type, y_type, columns, valid, first_row, group, scale},
      1, rows);
  double worst = 0;
  for (int64_t r = 1; r < rows; ++r) {
    // What a row sees, by the definition: of the valid columns those whose group is not after its.
    std::vector<double> weight(static_cast<size_t>(columns));
    double sum = 0;
    for (int64_t c = 0; c < columns; ++c) {
      const bool seen = c < valid && (group == 0 || c / group <= (first_row + r) / group);
      if (seen) {
        weight[c] = std::exp(static_cast<double>(scale) * x(r, c) + (biased ? bias(r, c) : 0));
      }
      sum += weight[c];
    }
    for (int64_t c = 0; c < columns; ++c) {
      const double want = weight[c] / sum;
      // Logits up to 40 carry their rounding into the exponential.
      const double slack = 6e-6 * want + 1e-37;
      worst = std::max(worst, std::fabs(y(r, c) - want) / (slack + rounding(want, y_type)));
    }
  }
  expect(worst <= 1 && y.untouched_but_from(1),
         std::string(tier.name) + " softmax " + type_name(x_type) + " to " + type_name(y_type) +
             " " + std::to_string(valid) + " of " + std::to_string(columns) + " group " +
             std::to_string(group) + (biased ? " biased" : ""),
         worst, 1);
}

void test_multiply(const Tier &tier, uint32_t a_type, uint32_t b_type, uint32_t y_type) {
  for (int64_t columns : {1, 16, 77}) {
    std::mt19937 random(static_cast<unsigned>(columns));
    Matrix a(3, columns, columns + 2, a_type), b(3, columns, columns + 3, b_type);
    Matrix y(3, columns, columns + 1, y_type);
    a.fill(*tier.kernels, random, 2);
    b.fill(*tier.kernels, random, 2);
    tier.kernels->multiply({a.bytes(), b.bytes(), y.bytes(), a.stride, b.stride, y.stride, a_type,
                            b_type, y_type, columns},
                           1, 3);
    double worst = 0;
    for (int64_t r = 1; r < 3; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        const double want = a(r, c) * b(r, c);
        worst = std::max(
            worst, std::fabs(y(r, c) - want) / (6e-8 * std::fabs(want) + rounding(want, y_type)));
      }
    }
    expect(worst <= 1 && y.untouched_but_from(1),
           std::string(tier.name) + " multiply " + type_name(a_type) + " by " + type_name(b_type) +
               " to " + type_name(y_type) + " " + std::to_string(columns),
           worst, 1);
  }
}

// Sums of columns, which a group norm's statistics come from, over more rows than are added at once.
void test_sums(const Tier &tier, uint32_t type, int64_t columns) {
  std::mt19937 random(static_cast<unsigned>(columns));
  const int64_t rows = 150;
  Matrix x(rows, columns, columns + 3, type), shift(1, columns, columns, SVDIT_FP32);
  x.fill(*tier.kernels, random, 2);
  shift.fill(*tier.kernels, random, 1);
  std::vector<double> sums(columns, 1.0), squares(columns, 2.0);  // added to
  tier.kernels->sum({x.bytes(), x.stride, type, columns, shift.floats(), sums.data(),
                     squares.data()},
                    1, rows);
  double worst = 0;
  for (int64_t c = 0; c < columns; ++c) {
    double sum = 1, square = 2, size = 0;
    for (int64_t r = 1; r < rows; ++r) {
      const double v = x(r, c) - shift(0, c);
      sum += v;
      square += v * v;
      size += std::fabs(v);
    }
    // Up to 64 numbers are added in fp32.
    worst = std::max(worst, std::fabs(sums[c] - sum) / (64 * 0x1p-24 * size));
    worst = std::max(worst, std::fabs(squares[c] - square) / (66 * 0x1p-24 * square));
  }
  expect(worst <= 1,
         std::string(tier.name) + " sums " + type_name(type) + " " + std::to_string(columns), worst,
         1);
}

void test_affine(const Tier &tier, uint32_t x_type, uint32_t y_type, int64_t columns, bool silu) {
  std::mt19937 random(static_cast<unsigned>(columns));
  Matrix x(3, columns, columns + 1, x_type), y(3, columns, columns + 2, y_type);
  Matrix factor(1, columns, columns, SVDIT_FP32), offset(1, columns, columns, SVDIT_FP32);
  x.fill(*tier.kernels, random, 2);
  factor.fill(*tier.kernels, random, 1);
  offset.fill(*tier.kernels, random, 1);
  tier.kernels->affine({x.bytes(), y.bytes(), x.stride, y.stride, x_type, y_type, columns,
                        factor.floats(), offset.floats(), silu},
                       1, 3);
  double worst = 0;
  for (int64_t r = 1; r < 3; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      const double product = x(r, c) * factor(0, c);
      double want = product + offset(0, c);
      const double slack = 1e-6 * (std::fabs(product) + std::fabs(offset(0, c)) + 1e-2);
      if (silu) want = want / (1 + std::exp(-want));
      worst = std::max(worst, std::fabs(y(r, c) - want) / (slack + rounding(want, y_type)));
    }
  }
  expect(worst <= 1 && y.untouched_but_from(1),
         std::string(tier.name) + " affine " + type_name(x_type) + " to " + type_name(y_type) +
             " " + std::to_string(columns) + (silu ? " SiLU" : ""),
         worst, 1);
}

}  // namespace

int main() {
  std::vector<Tier> tiers;
  // Several tiers may share a table: it is tested once.
  std::set<const RowKernels *> seen;
  const std::vector<uint32_t> present = svdit::test::present_tiers();
  for (const svdit::Tier &tier : svdit::tiers()) {
    if (std::find(present.begin(), present.end(), tier.code) == present.end()) continue;
    if (seen.insert(tier.rows).second) tiers.push_back({tier.name, tier.rows});
  }
  const uint32_t types[] = {SVDIT_BF16, SVDIT_FP16, SVDIT_FP32};
  for (const Tier &tier : tiers) {
    test_conversions(tier);
    test_activations(tier);
    for (uint32_t x : types) {
      for (uint32_t y : types) {
        for (bool rms : {false, true}) {
          test_norm(tier, x, y, rms, 128, 1, true);
          test_norm(tier, x, y, rms, 37, 1, false);
          test_norm(tier, x, y, rms, 200, 3, true);
          test_norm(tier, x, y, rms, 1, 5, false);
          test_norm(tier, x, y, rms, 96, 1, true, true);
        }
        for (int64_t columns : {1, 7, 16, 33, 200}) test_convert(tier, x, y, columns);
        for (int64_t columns : {1, 16, 37, 514}) {
          test_softmax(tier, x, y, columns, columns, 0, 0, true);
          test_softmax(tier, x, y, columns, (columns + 1) / 2, 0, 0, false);
          test_softmax(tier, x, y, columns, columns, 2, 1, false);
          test_softmax(tier, x, y, columns, std::max<int64_t>(1, columns - 3), 5, 4, true);
        }
        for (uint32_t z : types) test_multiply(tier, x, y, z);
      }
      for (uint32_t y : {x, static_cast<uint32_t>(SVDIT_FP32)}) {
        for (int64_t columns : {1, 31, 64, 1000}) {
          test_residual(tier, x, y, columns, true);
          test_residual(tier, x, y, columns, false);
        }
      }
      for (int64_t columns : {1, 7, 16, 33, 96}) {
        test_sums(tier, x, columns);
        for (uint32_t y : types) {
          test_affine(tier, x, y, columns, false);
          test_affine(tier, x, y, columns, true);
        }
      }
      for (int64_t head_dim : {2, 8, 24, 64, 128, 130}) {
        test_rope(tier, x, 3, head_dim, false);
        test_rope(tier, x, 3, head_dim, true);
      }
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
