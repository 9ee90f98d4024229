// Attention from its definition, in double precision. Visibility is decided token by token from the
// words of the design (block distance, sorted sets), with none of the library's cursors,
// permutations or conversions.
#ifndef SVDIT_TEST_REFERENCE_H
#define SVDIT_TEST_REFERENCE_H

#include <functional>
#include <vector>

#include "test/cases.h"

namespace svdit::test {

// Where each stored video token stands in an order: its place when the tokens are sorted by the
// order's coordinates.
std::vector<int32_t> places(const TestCase &c, const TestPattern &pattern);

// Which (stored query token, stored key token) pairs a head sees.
class Visibility {
 public:
  Visibility(const TestCase &c, int32_t head);
  bool sees(int32_t query, int32_t key, int32_t text_valid) const;
  // The query block a stored token belongs to, numbered as in svdit_plan_info.
  int32_t query_block(int32_t query) const;

 private:
  bool block_sees(int32_t query_block, int32_t key_block) const;
  const TestCase &c_;
  const TestPattern &pattern_;
  std::vector<int32_t> place_;
};

// One row: softmax over visible keys in double, and the same evaluated with everything rounded as
// plain low-precision code does: weights and output in the element type, sums in fp32. For E4M3
// both take q, k and v as quantised.h rounds them; the weights are e4m3 times a scale under which
// the row's largest is 2^8, the output is bf16.
struct ReferenceRow {
  std::vector<double> out;
  std::vector<float> low;
  double lse;
  std::vector<int32_t> keys;    // the visible ones
  std::vector<double> weights;  // softmax weight of each
};
ReferenceRow reference_row(const TestCase &c, const TestData &data, int32_t b, int32_t h,
                           int32_t query, const std::function<bool(int32_t)> &sees);

// Collects errors against the accuracy bound: max and mean of |out - ref| at most twice those of
// |low - ref|, plus a floor by type (1e-6; 2^-9 and 2^-12 of the largest |ref| for bf16 and fp16;
// E4M3's output is bf16).
class Accuracy {
 public:
  explicit Accuracy(uint32_t type) : type_(type) {}
  void add(double out, double low, double ref);
  void expect_within() const;

 private:
  uint32_t type_;
  double max_out_ = 0, max_low_ = 0, sum_out_ = 0, sum_low_ = 0, max_ref_ = 0;
  int64_t count_ = 0;
  bool bad_ = false;
};

// How far LSE may be off, relative to 1 + |LSE|, where the plan is E4M3. A program for Hopper GPUs
// raises it: their tensor cores are reported to keep about 14 bits of a sum of e4m3 products.
inline double e4m3_lse_bound = 1e-5;

// Expects all rows of out and lse to be the reference's within the bound, rows that see nothing to
// be 0 with LSE -inf, and nothing between out's rows to be written.
void expect_matches(const TestCase &c, const TestData &data);

// How far out is from the float64 result on q, k and v as they are stored, whatever the plan
// rounded: the largest |out - ref|, and the root of the mean of its square over that of ref's.
struct OutputError {
  double largest, relative_rms;
};
OutputError output_error(const TestCase &c, const TestData &data);

}  // namespace svdit::test

#endif
