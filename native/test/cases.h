// Attention cases for tests: a plan's description with its own storage, and tensors that end at a
// protected page.
#ifndef SVDIT_TEST_CASES_H
#define SVDIT_TEST_CASES_H

#include <memory>
#include <string>
#include <vector>

#include "svdit.h"
#include "test/harness.h"

namespace svdit::test {

// One head's pattern, owning its arrays.
struct TestPattern {
  uint32_t mode = SVDIT_MODE_FULL, order = SVDIT_ORDER_FRAME_MAJOR;
  int32_t tile_t = 0, tile_h = 0, tile_w = 0;
  int64_t window = 0;
  std::vector<int32_t> blocks;              // anchors or stripes
  std::vector<std::vector<int32_t>> lists;  // BLOCKS
};

struct TestCase {
  int32_t frames = 1, height = 1, width = 1, text = 0;
  bool text_first = false;
  int32_t key_tokens = 0;
  uint32_t type = SVDIT_FP32;
  int32_t block = 128, head_dim = 64, batch = 1;
  float scale = 0;
  std::vector<TestPattern> patterns;
  std::vector<int32_t> text_valid;  // empty: NULL

  int32_t heads() const { return (int32_t)patterns.size(); }
  int32_t video() const { return frames * height * width; }
  int32_t queries() const { return video() + text; }
  int32_t keys() const { return key_tokens > 0 ? key_tokens : queries(); }
  int32_t key_text() const { return key_tokens > 0 ? key_tokens : text; }
  int32_t video_blocks() const { return (video() + block - 1) / block; }
  int32_t valid(int32_t row) const { return text_valid.empty() ? key_text() : text_valid[row]; }
  std::string describe() const;
};

// Descending into svdit.h's structs: they point into the case.
class PlanDesc {
 public:
  explicit PlanDesc(const TestCase &c);
  svdit_plan_desc desc{};
  std::vector<svdit_pattern> patterns;

 private:
  std::vector<std::vector<int32_t>> flat_;
  std::vector<std::vector<int64_t>> offsets_;
};

// Of a plan's tensors: BF16 for E4M3, which no tensor holds. The functions below take the one for
// the other.
inline uint32_t tensor_type(uint32_t plan_type) {
  return plan_type == SVDIT_E4M3 ? uint32_t{SVDIT_BF16} : plan_type;
}
inline int32_t element_bytes(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }
double to_double(uint32_t type, const void *element);
void from_float(uint32_t type, float value, void *element);  // to nearest, ties to even
float rounded(uint32_t type, float value);

// Memory whose last byte is followed by a page that must not be touched.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t bytes);
  ~GuardedBytes();
  GuardedBytes(const GuardedBytes &) = delete;
  void *data() const { return data_; }

 private:
  void *map_;
  size_t mapped_;
  void *data_;
};

// How a tensor lies in memory.
// Aligned gaps keep every row at a multiple of 16 bytes, as CUDA wants it.
enum class Strides { kBatchHeadToken, kBatchTokenHead, kGaps, kAlignedGaps };

// A [batch, heads, tokens, d] tensor in guarded memory. What lies between rows is NaN (0xFF bytes).
class TestTensor {
 public:
  TestTensor(uint32_t type, int32_t batch, int32_t heads, int32_t tokens, int32_t d,
             Strides strides);
  svdit_tensor tensor() const { return tensor_; }
  char *row(int32_t b, int32_t h, int32_t t) const;
  double at(int32_t b, int32_t h, int32_t t, int32_t i) const;
  // Where a row begins in an array [batch, heads, tokens, d] without gaps.
  size_t index(int32_t b, int32_t h, int32_t t) const {
    return (((size_t)b * heads + h) * tokens + t) * d;
  }
  // A row as numbers. Read from memory the first time any row is asked for, and kept.
  const float *values(int32_t b, int32_t h, int32_t t) const;
  void fill_normal(Random &random, float amplitude);
  void fill_nan(int32_t b, int32_t h, int32_t t);
  // Bytes outside of the elements that are not 0xFF any more.
  int64_t touched_gaps() const;

  const uint32_t type;
  const int32_t batch, heads, tokens, d;

 private:
  svdit_tensor tensor_{};
  std::unique_ptr<GuardedBytes> bytes_;
  mutable std::vector<float> values_;
};

class Quantised;

// q, k, v filled with numbers, text keys past the valid ones with NaN; out and lse to be written.
struct TestData {
  TestData(const TestCase &c, Random &random, Strides strides, float amplitude = 1);
  ~TestData();
  svdit_attention_args args(const TestCase &c) const;
  float lse(const TestCase &c, int32_t b, int32_t h, int32_t t) const;

  TestTensor q, k, v, out;
  GuardedBytes lse_bytes;
  mutable std::unique_ptr<Quantised> quantised;  // kept by reference_row; see quantised.h
};

// The workspace a call with this plan needs, NaN (0xFF bytes) until it is used.
class TestWorkspace {
 public:
  TestWorkspace(const svdit_plan *plan, int32_t batch);
  // args with this workspace.
  svdit_attention_args in(svdit_attention_args args) const;

  const uint64_t bytes;
  const GuardedBytes memory;
};

// A random case: sizes that fill no block, no chunk and no vector, and a random legal pattern per
// head.
TestCase random_case(Random &random);
TestPattern random_pattern(Random &random, const TestCase &c, uint32_t mode);

svdit_backend *open_cpu(uint32_t tier, int32_t threads);
const char *tier_label(uint32_t tier);

// SVDIT_CPU_TIER_* of every tier of this build, from the lowest up.
const std::vector<uint32_t> &all_tiers();

// Why a tier is not tested here: the processor lacks it, or SVDIT_CPU_TIER names a lower one, as on
// a machine that has no more. Empty where it is tested.
std::string why_absent(uint32_t tier);
// The others, from portable up.
std::vector<uint32_t> present_tiers();
// Lines for people: the processor, the tiers tested, each absent one with its reason.
std::string tested_tiers();

}  // namespace svdit::test

#endif
