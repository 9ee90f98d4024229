// E4M3's arithmetic against its definition: rounding, and the scale of 64 tokens, exhaustively over
// bf16.
#include "plan/e4m3.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "test/harness.h"
#include "test/quantised.h"

using namespace svdit::test;

namespace {

// All numbers of e4m3 from 0 up: 4 bits of exponent with bias 7, 3 of the mantissa, no infinity,
// and NaN in place of the last.
std::vector<double> all_numbers() {
  std::vector<double> numbers;
  for (int code = 0; code < 127; ++code) {
    const int exponent = code >> 3, mantissa = code & 7;
    numbers.push_back(exponent == 0 ? std::ldexp(mantissa, -9)
                                    : std::ldexp(8 + mantissa, exponent - 10));
  }
  return numbers;
}

// By looking at the neighbours; an even code has an even mantissa.
double nearest(const std::vector<double> &numbers, double x) {
  const double magnitude = std::fabs(x);
  const size_t above =
      std::lower_bound(numbers.begin(), numbers.end(), magnitude) - numbers.begin();
  size_t code = above;
  if (above > 0) {
    const double up = numbers[above] - magnitude, down = magnitude - numbers[above - 1];
    if (down < up || (down == up && above % 2 == 1)) code = above - 1;
  }
  return std::copysign(numbers[code], x);
}

float bf16_number(uint32_t bits) {
  const uint32_t wide = bits << 16;
  float number;
  std::memcpy(&number, &wide, sizeof number);
  return number;
}

void test_reference_rounding() {
  report.run("the reference rounds to the nearest e4m3 number, ties to even", [] {
    const std::vector<double> numbers = all_numbers();
    EXPECT(numbers.back() == 448);
    int64_t wrong = 0;
    const auto check = [&](double x) {
      wrong += to_e4m3(x) != nearest(numbers, x);
      wrong += to_e4m3(-x) != nearest(numbers, -x);
    };
    for (uint32_t bits = 0; bf16_number(bits) <= 448; ++bits) check(bf16_number(bits));
    for (size_t i = 1; i < numbers.size(); ++i) {
      const double tie = (numbers[i - 1] + numbers[i]) / 2;
      for (const double x : {tie, std::nextafter(tie, 0), std::nextafter(tie, 448)}) check(x);
    }
    EXPECT(wrong == 0, "%lld numbers are wrong", (long long)wrong);
  });
}

void test_scale() {
  report.run("a scale is the least power of two that its tokens need", [] {
    EXPECT(svdit::scale_exponent(0) == -60);
    EXPECT(svdit::scale_exponent(0x1p-149f) == -60);
    EXPECT(svdit::scale_exponent(448 * 0x1p-60f) == -60);
    EXPECT(svdit::scale_exponent(std::nextafter(448 * 0x1p-60f, 1.0f)) == -59);
    EXPECT(svdit::scale_exponent(448) == 0);
    EXPECT(svdit::scale_exponent(450) == 1);
    EXPECT(svdit::scale_exponent(224) == -1);
    EXPECT(svdit::scale_exponent(0x1p127f) == 119);
    EXPECT(svdit::scale_exponent(bf16_number(0x7F7F)) == 120);
    EXPECT(svdit::scale_exponent(INFINITY) == 120);
    EXPECT(svdit::scale_exponent(NAN) == 120);
    int64_t wrong = 0;
    for (uint32_t bits = 0; bits < 0x7F80; ++bits) {
      const float largest = bf16_number(bits);
      const int32_t exponent = svdit::scale_exponent(largest);
      wrong += exponent != least_exponent(largest);
      wrong += svdit::power_of_two(exponent) != std::ldexp(1.0f, exponent);
    }
    EXPECT(wrong == 0, "%lld scales are wrong", (long long)wrong);
  });
}

}  // namespace

int main() {
  test_reference_rounding();
  test_scale();
  return report.finish();
}
