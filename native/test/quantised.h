// What an E4M3 plan makes of q, k and v before it multiplies: the words of svdit.h at
// svdit_attention in double precision, with none of the library's arithmetic, orders or layouts.
#ifndef SVDIT_TEST_QUANTISED_H
#define SVDIT_TEST_QUANTISED_H

#include <vector>

#include "test/cases.h"

namespace svdit::test {

// The nearest number with e4m3's mantissa and least exponent, ties to even. Numbers past 448 are
// rounded as if there were no end.
double to_e4m3(double x);

// The least exponent, from -60 on, of a scale under which largest is at most 448.
int32_t least_exponent(double largest);

// Tensors as TestTensor::index places them. Text keys past the valid ones are NaN.
class Quantised {
 public:
  // Those of data for c, kept in data as long as c's orders and valid text stay the same.
  static const Quantised &of(const TestCase &c, const TestData &data);

  std::vector<float> q, k, v;

 private:
  Quantised(const TestCase &c, const TestData &data);
  std::vector<int32_t> made_for_;
};

// Rounding to three bits does not depend on the scale unless an element is 2^14 times smaller than
// the largest beside it. In these cases it is: every other stretch of 64 tokens, as a head's order
// lines them up, is 2^-14 of its neighbours, text keys are too, and video queries see the small
// ones only; text queries see all keys and are smaller by as much again. A stretch that begins
// elsewhere, or has a neighbour's scale, gives other numbers. With scale 2^14 the large queries'
// logits are of usual size, with 2^28 the small ones'.
TestCase uneven_case(int32_t head_dim, int32_t text, bool text_first, float scale);
void make_uneven(const TestCase &c, const TestData &data);

}  // namespace svdit::test

#endif
