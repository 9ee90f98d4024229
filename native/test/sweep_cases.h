// Sweeps for tests: a case with its storage, and what its results must be, from the definition in
// double precision.
#ifndef SVDIT_TEST_SWEEP_CASES_H
#define SVDIT_TEST_SWEEP_CASES_H

#include <vector>

#include "test/cases.h"

namespace svdit::test {

struct SweepCase {
  TestCase c;  // its one pattern (per head) carries the order
  uint32_t rule = SVDIT_SWEEP_DISTANCE;
  std::vector<int32_t> query_blocks;
  std::vector<int64_t> stops;
  std::vector<std::vector<int32_t>> first;  // per swept head; empty: NULL
  int32_t head_begin = 0, head_end = 0;
  bool gram = false;

  int32_t heads() const { return head_end - head_begin; }
  size_t results() const { return (size_t)c.batch * heads() * query_blocks.size(); }
};

// A random sweep of the case's sequence, whose own patterns and cross-attention are dropped.
SweepCase random_sweep(Random &random, const TestCase &c);

// A case's arguments with what they point to, and its results.
class SweepData {
 public:
  SweepData(const SweepCase &s, Random &random, Strides strides);
  // Of q, k, v and the arrays, in host memory; no workspace.
  svdit_sweep_args args() const;
  void expect_matches() const;

  const SweepCase &s;
  TestData data;
  std::vector<float> gram, root;  // G = W W^T, and W
  std::vector<int32_t> first;
  std::vector<int64_t> first_offsets;
  struct Results {  // as the library lays them out
    std::vector<double> error, norm, mass;
    std::vector<float> reference;
    bool operator==(const Results &) const = default;
  };
  mutable Results got;
};

}  // namespace svdit::test

#endif
