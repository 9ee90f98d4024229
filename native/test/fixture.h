// The attention fixtures: safetensors files whose metadata describes a case, with outputs in
// float64 from the definition.
#ifndef SVDIT_TEST_FIXTURE_H
#define SVDIT_TEST_FIXTURE_H

#include <map>
#include <string>
#include <vector>

#include "test/cases.h"

namespace svdit::test {

struct Fixture {
  // Throws std::runtime_error for a file that is no fixture.
  explicit Fixture(const std::string &path);

  // Writes q, k and v into data, which is of testCase.
  void fill(const TestData &data) const;
  // Expects data's out and lse to be the fixture's within the accuracy bound. Where test_case was
  // made E4M3, its inputs are other numbers than the fixture's: the reference's, then.
  void expect_matches(const TestData &data) const;

  TestCase test_case;

 private:
  struct Array {
    std::string dtype;
    std::vector<int64_t> shape;
    std::vector<char> bytes;
  };
  std::map<std::string, Array> arrays_;
};

// The fixtures in a folder, by name. Empty where there is no such folder.
std::vector<std::string> fixture_paths(const std::string &folder);

}  // namespace svdit::test

#endif
