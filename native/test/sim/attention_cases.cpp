// The CUDA attention kernels in the simulator against the double-precision definition: every
// element type, head dim and block they are compiled for, all modes and orders, awkward sizes, and
// the sizes at which a part of the kernel begins to matter. What must not be read is NaN or past
// the end of an allocation.
#include "test/sim/attention_cases.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "test/cases.h"
#include "test/fixture.h"
#include "test/reference.h"
#include "test/sim/simulated.h"

namespace svdit::test {
namespace {

using sim::Fault;

struct Kernel {
  uint32_t type;
  int32_t head_dim, block;
  std::string name() const {
    const char *names[] = {"bf16", "fp16", "fp32", "e4m3"};
    return std::string(names[type]) + " D " + std::to_string(head_dim) + " block " +
           std::to_string(block);
  }
};

Kernels family;  // that is tested

std::vector<Kernel> kernels_of(Kernels of) {
  std::vector<Kernel> kernels;
  for (const uint32_t type : {SVDIT_BF16, SVDIT_FP16, SVDIT_E4M3}) {
    if ((type == SVDIT_E4M3) != (of == Kernels::kE4m3)) continue;
    for (const int32_t head_dim : {64, 128}) {
      for (const int32_t block : {64, 128}) kernels.push_back({type, head_dim, block});
    }
  }
  return kernels;
}

// The i-th of the family's kernels, which may have fewer.
Kernel kernel_at(size_t i) {
  const std::vector<Kernel> kernels = kernels_of(family);
  return kernels[i % kernels.size()];
}

// The family's kernel for 16-bit tensors of that type.
Kernel kernel_for(uint32_t type, int32_t head_dim, int32_t block) {
  return {family == Kernels::kE4m3 ? uint32_t{SVDIT_E4M3} : type, head_dim, block};
}

TestCase case_of(const Kernel &kernel) {
  TestCase c;
  c.type = kernel.type;
  c.head_dim = kernel.head_dim;
  c.block = kernel.block;
  return c;
}

// Runs the kernels on the case's data and gives what they counted.
bool attend(const TestCase &c, const svdit_attention_args &args, uint64_t seed,
            svdit::sim::Report *counted = nullptr) {
  try {
    const PlanDesc desc(c);
    const SimulatedPlan plan(desc.desc, seed, family);
    plan.run(args);
    if (counted != nullptr) *counted = plan.attended;
    return true;
  } catch (const Fault &fault) {
    report.fail("%s", fault.what());
  } catch (const svdit::Error &error) {
    report.fail("%s", error.what());
  }
  return false;
}

TestPattern pattern_of(uint32_t mode) {
  TestPattern pattern;
  pattern.mode = mode;
  if (mode == SVDIT_MODE_MULTI_DIAGONAL) pattern.order = SVDIT_ORDER_TOKEN_MAJOR;
  return pattern;
}

// A sequence of a few blocks, none of them whole where it can be helped.
TestCase random_sequence(const Kernel &kernel, Random &random) {
  TestCase c = case_of(kernel);
  c.batch = random.chance(0.3) ? 2 : 1;
  c.frames = (int32_t)random.between(1, 5);
  c.height = (int32_t)random.between(1, 8);
  c.width = (int32_t)random.between(1, 9);
  if (random.chance(0.7)) {
    c.text = (int32_t)random.between(1, 140);
    c.text_first = random.chance(0.5);
    for (int32_t b = 0; random.chance(0.7) && b < c.batch; ++b) {
      c.text_valid.assign(c.batch, 0);
      for (int32_t &valid : c.text_valid) valid = (int32_t)random.between(0, c.text);
    }
  }
  if (random.chance(0.2)) c.scale = 0.3f * random.normal();
  return c;
}

void test_random_shapes(uint64_t seed, int count) {
  const Strides strides[] = {Strides::kBatchHeadToken, Strides::kBatchTokenHead,
                             Strides::kAlignedGaps};
  for (int i = 0; i < count; ++i, ++seed) {
    Random random(seed);
    TestCase c = random_sequence(kernel_at(i), random);
    const int32_t heads = (int32_t)random.between(1, 3);
    for (int32_t h = 0; h < heads; ++h) {
      c.patterns.push_back(
          random_pattern(random, c, (uint32_t)random.between(0, SVDIT_MODE_BLOCKS)));
    }
    const Strides chosen = strides[random.between(0, 2)];
    report.run("seed " + std::to_string(seed) + ": " + c.describe(), [&] {
      const TestData data(c, random, chosen);
      if (attend(c, data.args(c), seed)) expect_matches(c, data);
    });
  }
}

// In every kernel: one launch of all modes, text behind the video and in front of it, padding that
// holds NaN.
void test_all_modes() {
  for (const Kernel &kernel : kernels_of(family)) {
    report.run(kernel.name() + ": a layer of all modes", [&] {
      Random random(kernel.head_dim + kernel.block + kernel.type);
      TestCase c = case_of(kernel);
      c.frames = 3;
      c.height = kernel.block / 16;
      c.width = 17;
      c.text = 70;
      c.text_first = kernel.type == SVDIT_FP16 || (kernel.type == SVDIT_E4M3 && kernel.block == 64);
      c.text_valid = {41};
      for (uint32_t mode = SVDIT_MODE_FULL; mode <= SVDIT_MODE_BLOCKS; ++mode) {
        c.patterns.push_back(random_pattern(random, c, mode));
      }
      const TestData data(c, random, Strides::kBatchTokenHead);
      if (attend(c, data.args(c), 3)) expect_matches(c, data);
    });
  }
}

// Key counts around the tile and the block, alone in their run.
void test_tails() {
  for (const int32_t tokens : {1, 7, 8, 63, 64, 65, 127, 128, 129, 191, 192, 193}) {
    report.run("tokens " + std::to_string(tokens), [&] {
      Random random(tokens);
      TestCase c = case_of(kernel_at(tokens % 4));
      c.width = tokens;
      c.patterns = {pattern_of(SVDIT_MODE_FULL)};
      const TestData data(c, random, Strides::kAlignedGaps);
      if (attend(c, data.args(c), tokens)) expect_matches(c, data);
    });
  }
}

// More separate runs than one list takes: every other block of 260.
void test_many_runs() {
  report.run("more runs than a list takes", [&] {
    Random random(5);
    TestCase c = case_of(kernel_for(SVDIT_BF16, 64, 64));
    c.width = 64 * 259 + 5;
    c.text = 3;
    c.patterns = {pattern_of(SVDIT_MODE_VERTICAL_STRIPE)};
    for (int32_t b = 0; b < c.video_blocks(); b += 2) c.patterns[0].blocks.push_back(b);
    const TestData data(c, random, Strides::kBatchHeadToken);
    svdit_attention_args args = data.args(c);
    args.query_block_begin = 3;
    args.query_block_end = 4;
    if (!attend(c, args, 9)) return;
    Accuracy accuracy(c.type);
    const Visibility visibility(c, 0);
    for (int32_t query = 3 * 64; query < 4 * 64; query += 13) {
      const ReferenceRow row = reference_row(
          c, data, 0, 0, query, [&](int32_t key) { return visibility.sees(query, key, c.text); });
      for (int32_t i = 0; i < c.head_dim; ++i) {
        accuracy.add(data.out.at(0, 0, query, i), row.low[i], row.out[i]);
      }
      EXPECT(std::fabs(data.lse(c, 0, 0, query) - row.lse) < 1e-4);
    }
    accuracy.expect_within();
  });
}

// Logits of +-60: one weight near 1, the others near 0.
void test_large_logits() {
  for (const Kernel &kernel : {kernel_at(0), kernel_at(7)}) {
    for (const float scale : {1.0f, -1.0f}) {
      report.run(kernel.name() + ": logits of 60, scale " + std::to_string(scale), [&] {
        Random random(77);
        TestCase c = case_of(kernel);
        c.width = 150;
        c.scale = scale;
        c.patterns = {pattern_of(SVDIT_MODE_FULL)};
        const TestData data(c, random, Strides::kBatchHeadToken, 1.6f);
        if (attend(c, data.args(c), 1)) expect_matches(c, data);
      });
    }
  }
}

// Rows whose maxima grow from tile to tile, each at its own rate: not at all, by less than what the
// softmax lets pass without rescaling, and by more.
void test_growing_maxima() {
  for (const int number : {0, 3, 7}) {
    const Kernel kernel = kernel_at(number);
    report.run(kernel.name() + ": maxima that grow", [&] {
      Random random(78);
      TestCase c = case_of(kernel);
      c.width = 600;
      c.scale = 0.693147f;  // so that products are logarithms to base 2
      c.patterns = {pattern_of(SVDIT_MODE_FULL)};
      const TestData data(c, random, Strides::kBatchHeadToken, 0.1f);
      for (int32_t t = 0; t < c.width; ++t) {
        from_float(c.type, (float)(t % 4), data.q.row(0, 0, t));
        from_float(c.type, 0.05f * (float)t, data.k.row(0, 0, t));
      }
      if (attend(c, data.args(c), 1)) expect_matches(c, data);
    });
  }
}

void test_cross_attention() {
  for (const Kernel &kernel : {kernel_at(1), kernel_at(6)}) {
    report.run(kernel.name() + ": cross-attention", [&] {
      Random random(21);
      TestCase c = case_of(kernel);
      c.batch = 3;
      c.width = 150;
      c.key_tokens = 77;
      c.text_valid = {77, 0, 65};
      c.patterns = {pattern_of(SVDIT_MODE_FULL), pattern_of(SVDIT_MODE_SKIP)};
      const TestData data(c, random, Strides::kBatchTokenHead);
      if (attend(c, data.args(c), 2)) expect_matches(c, data);
    });
  }
}

// A range of heads and query blocks writes the same as the whole, and nothing else: the same bytes,
// unless other query blocks share its tiles then.
void test_ranges(const Kernel &kernel, bool same_bytes) {
  report.run(kernel.name() + ": head and query-block ranges", [&] {
    Random random(33);
    TestCase c = case_of(kernel);
    c.frames = 4;
    c.height = 5;
    c.width = 17;
    c.text = 80;
    for (uint32_t mode :
         {SVDIT_MODE_FULL, SVDIT_MODE_MULTI_DIAGONAL, SVDIT_MODE_SKIP, SVDIT_MODE_BLOCKS}) {
      c.patterns.push_back(random_pattern(random, c, mode));
    }
    const TestData whole(c, random, Strides::kBatchTokenHead);
    if (!attend(c, whole.args(c), 1)) return;
    const TestTensor part(c.type, c.batch, c.heads(), c.queries(), c.head_dim,
                          Strides::kBatchTokenHead);
    std::vector<float> lse((size_t)c.heads() * c.queries(), 7);
    svdit_attention_args args = whole.args(c);
    args.out = part.tensor();
    args.lse = lse.data();
    args.head_begin = 1;
    args.head_end = 3;
    args.query_block_begin = 2;
    args.query_block_end = c.video_blocks() + 1;
    attend(c, args, 2);
    for (int32_t h = 0; h < c.heads(); ++h) {
      const Visibility visibility(c, h);
      for (int32_t t = 0; t < c.queries(); ++t) {
        const int32_t block = visibility.query_block(t);
        const bool inside = h >= 1 && h < 3 && block >= 2 && block <= c.video_blocks();
        const float expected_lse = inside ? whole.lse(c, 0, h, t) : 7,
                    own = lse[h * c.queries() + t];
        std::vector<char> expected(2 * c.head_dim, (char)0xFF);
        if (inside) std::memcpy(expected.data(), whole.out.row(0, h, t), expected.size());
        if (inside && !same_bytes) {
          for (int32_t i = 0; i < c.head_dim; ++i) {
            const float other = whole.out.at(0, h, t, i);
            EXPECT(std::fabs(part.at(0, h, t, i) - other) <= 0.01f * (0.1f + std::fabs(other)),
                   "head %d token %d element %d", h, t, i);
          }
          EXPECT(own == expected_lse || std::fabs(own - expected_lse) < 1e-5f);
          continue;
        }
        EXPECT(std::memcmp(part.row(0, h, t), expected.data(), expected.size()) == 0,
               "head %d token %d (%s the range)", h, t, inside ? "in" : "outside");
        EXPECT(own == expected_lse);
      }
    }
  });
}

// More heads than one launch names.
void test_many_heads() {
  report.run("more heads than a launch names", [&] {
    Random random(2);
    TestCase c = case_of(kernel_for(SVDIT_FP16, 64, 64));
    c.width = 3;
    c.height = 2;
    c.patterns.assign(svdit::cuda::kHeadsPerLaunch + 3, pattern_of(SVDIT_MODE_FULL));
    for (size_t h = 0; h < c.patterns.size(); h += 7) c.patterns[h] = pattern_of(SVDIT_MODE_SKIP);
    for (size_t h = 3; h < c.patterns.size(); h += 7) {
      c.patterns[h].mode = SVDIT_MODE_VERTICAL_STRIPE;
      c.patterns[h].order = SVDIT_ORDER_TOKEN_MAJOR;
      c.patterns[h].blocks = {0};
    }
    const TestData data(c, random, Strides::kBatchHeadToken);
    if (attend(c, data.args(c), 2)) expect_matches(c, data);
  });
}

// Schedules must not show in the result.
void test_schedules() {
  report.run("the same bytes whatever the schedule", [&] {
    Random random(4);
    TestCase c = case_of(kernel_for(SVDIT_BF16, 128, 128));
    c.frames = 3;
    c.height = 9;
    c.width = 11;
    c.text = 20;
    for (uint32_t mode : {SVDIT_MODE_FULL, SVDIT_MODE_MULTI_DIAGONAL}) {
      c.patterns.push_back(random_pattern(random, c, mode));
    }
    const TestData data(c, random, Strides::kBatchHeadToken);
    std::vector<char> first;
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      if (!attend(c, data.args(c), seed)) return;
      const svdit_tensor out = data.out.tensor();
      const std::vector<char> bytes((char *)out.data, (char *)out.data + out.extent_bytes);
      if (first.empty()) first = bytes;
      EXPECT(first == bytes, "seed %d differs", (int)seed);
    }
  });
}

// The swizzle leaves no bank conflict anywhere in the kernel.
void test_bank_conflicts() {
  for (const Kernel &kernel : kernels_of(family)) {
    report.run(kernel.name() + ": bank conflicts", [&] {
      Random random(6);
      TestCase c = case_of(kernel);
      c.width = 200;
      c.patterns = {pattern_of(SVDIT_MODE_FULL)};
      const TestData data(c, random, Strides::kBatchHeadToken);
      svdit::sim::Report counted;
      if (!attend(c, data.args(c), 1, &counted)) return;
      EXPECT(counted.bank_conflicts == 0, "%lld of %lld passes", (long long)counted.bank_conflicts,
             (long long)counted.shared_wavefronts);
    });
  }
}

// As the table says that the resource gate compares registers with. 99 KiB is what the smallest
// multiprocessors have from 8.0 on, 227 KiB what those of 9.0 have.
void test_shared_memory() {
  report.run("dynamic shared memory is as in the table", [] {
    const int most = (family == Kernels::kSm80 ? 99 : 227) * 1024;
    std::ifstream table("native/cuda/resources.txt");
    const std::string text(std::istreambuf_iterator<char>(table), {});
    for (const Kernel &kernel : kernels_of(family)) {
      const int bytes = attention_shared_bytes(family, kernel.type, kernel.head_dim, kernel.block);
      const std::string shape =
          std::to_string(kernel.head_dim) + ", " + std::to_string(kernel.block);
      const std::string element = kernel.type == SVDIT_BF16 ? "Bf16" : "Fp16";
      const std::string name =
          family == Kernels::kSm80 ? "attention_sm80<" + element + ", " + shape + ">\n"
          : family == Kernels::kSm90
              ? "attention_sm90<ShapeSm90<" + element + "Sm90, " + shape + "> >\n"
              : "attention_sm90<ShapeE4m3<" + shape + "> >\n";
      const std::string row = " " + std::to_string(bytes) + " " + name;
      EXPECT(text.find(row) != text.npos && bytes <= most, "not in the table: %s", row.c_str());
    }
  });
}

// What was computed elsewhere, in float64, from the definition. Blocks and head dims CUDA has no
// kernels for are left out.
void test_fixtures(const std::string &folder) {
  int used = 0;
  for (const std::string &path : fixture_paths(folder)) {
    Fixture fixture(path);
    if (family == Kernels::kE4m3) fixture.test_case.type = SVDIT_E4M3;
    const TestCase &c = fixture.test_case;
    if ((c.block != 64 && c.block != 128) || (c.head_dim != 64 && c.head_dim != 128)) continue;
    ++used;
    report.run("fixture " + path.substr(folder.size() + 1), [&] {
      Random random(1);
      const TestData data(c, random, Strides::kAlignedGaps);
      fixture.fill(data);
      if (attend(c, data.args(c), 1)) fixture.expect_matches(data);
    });
  }
  report.run("fixtures in " + folder, [&] { EXPECT(used >= 8, "%d usable", used); });
}

void expect_refused(const TestCase &c, svdit_status status, const char *word,
                    const std::function<void(svdit_attention_args &)> &change = nullptr) {
  try {
    const PlanDesc desc(c);
    const SimulatedPlan plan(desc.desc, 1, family);
    Random random(1);
    const TestData data(c, random, Strides::kBatchHeadToken);
    svdit_attention_args args = data.args(c);
    if (change) change(args);
    plan.run(args);
    report.fail("not refused: %s", word);
  } catch (const svdit::Error &error) {
    EXPECT(error.status() == status && std::strstr(error.what(), word) != nullptr, "status %d: %s",
           error.status(), error.what());
  }
}

void test_refusals() {
  report.run("what CUDA does not compute is refused by name", [&] {
    TestCase c = case_of(kernel_at(0));
    c.width = 70;
    c.patterns = {pattern_of(SVDIT_MODE_FULL)};
    TestCase other = c;
    other.type = SVDIT_FP32;
    expect_refused(other, SVDIT_UNSUPPORTED, "element_type is 2");
    other = c;
    other.head_dim = 96;
    expect_refused(other, SVDIT_UNSUPPORTED, "head_dim is 96");
    other = c;
    other.block = 32;
    expect_refused(other, SVDIT_UNSUPPORTED, "block is 32");
    expect_refused(c, SVDIT_INVALID_ARGUMENT, "k: the address", [](svdit_attention_args &args) {
      args.k.data = (char *)args.k.data + 8;
      args.k.extent_bytes += 8;
    });
    expect_refused(c, SVDIT_INVALID_ARGUMENT, "v: stride_token is 130 bytes",
                   [](svdit_attention_args &args) {
                     args.v.stride_token += 1;
                     args.v.extent_bytes *= 2;
                   });
    if (family != Kernels::kSm90) return;
    other = c;
    other.batch = 2;
    expect_refused(other, SVDIT_UNSUPPORTED, "k: stride_batch is 0 over 2",
                   [](svdit_attention_args &args) { args.k.stride_batch = 0; });
  });
}

}  // namespace

int test_attention(Kernels tested) {
  family = tested;
  const char *seed = std::getenv("SVDIT_TEST_SEED");
  const char *count = std::getenv("SVDIT_TEST_COUNT");
  const char *cases = std::getenv("SVDIT_CASES");
  test_fixtures(cases ? cases : "src/test/resources/cases/attention");
  test_all_modes();
  test_random_shapes(seed ? std::strtoull(seed, nullptr, 10) : 500, count ? std::atoi(count)
                                                                    : tested == Kernels::kE4m3
                                                                        ? 24
                                                                        : 40);
  test_tails();
  test_many_runs();
  test_large_logits();
  test_growing_maxima();
  test_cross_attention();
  test_ranges(kernel_for(SVDIT_BF16, 64, 64), tested == Kernels::kSm80);
  test_ranges(kernel_for(SVDIT_FP16, 128, 128), true);
  test_many_heads();
  test_schedules();
  test_bank_conflicts();
  test_refusals();
  test_shared_memory();
  return report.finish();
}

}  // namespace svdit::test
