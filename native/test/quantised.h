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
// the largest beside it, which in random data it seldom is. In these cases some are: in every other
// block (64 or 128 tokens) of each segment, as a head's order lines it up, one element of each of
// q's and k's rows is 2^14 times as large, and meets a 0 in the product. So logits are of usual
// size, and 64 tokens that begin elsewhere, or take a neighbour's scale, give others. Where there
// is no text, v of those blocks is large too; no query sees them, but the blocks beside them.
TestCase uneven_case(int32_t head_dim, int32_t block, int32_t text, bool text_first);
void make_uneven(const TestCase &c, const TestData &data);

}  // namespace svdit::test

#endif
