// E4M3's arithmetic against its definition, exhaustively over bf16: rounding, and the scale of 64
// tokens. And what E4M3 plans of the CPU backend have of their own: the workspace, and the
// fixtures.
#include "plan/e4m3.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cpu/attention/quantise.h"
#include "test/fixture.h"
#include "test/harness.h"
#include "test/quantised.h"
#include "test/reference.h"

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

// Every bf16 number that a scale takes, under every scale: in a row of all of them, and in one of
// those that keep three bits, for which the backend has a shorter way.
void test_rounding_of_rows() {
  report.run("the CPU backend rounds every bf16 number as the reference does", [] {
    int64_t wrong = 0, rounded_numbers = 0;
    for (int32_t exponent = -60; exponent <= 120; ++exponent) {
      std::vector<uint16_t> rows, normal;
      for (uint32_t bits = 0; bits < 0x7F80 && bf16_number(bits) <= std::ldexp(448, exponent);
           ++bits) {
        for (const uint32_t sign : {0u, 0x8000u}) {
          rows.push_back((uint16_t)(sign | bits));
          if (bf16_number(bits) >= std::ldexp(1, exponent - 6)) normal.push_back(rows.back());
        }
      }
      normal.resize(rows.size(), rows.back());
      const int32_t d = (int32_t)rows.size(), tokens[] = {0, 1};
      rows.insert(rows.end(), normal.begin(), normal.end());
      std::vector<uint16_t> result(rows.size(), 0xFFFF);
      svdit::quantise_rows({(char *)rows.data(), 2 * d}, {(char *)result.data(), 2 * d}, tokens, 2,
                           d);
      for (size_t i = 0; i < rows.size(); ++i) {
        const double x = bf16_number(rows[i]);
        const double want = std::ldexp(to_e4m3(std::ldexp(x, -exponent)), exponent);
        wrong += bf16_number(result[i]) != (float)want;
      }
      rounded_numbers += (int64_t)rows.size();
    }
    EXPECT(rounded_numbers > 10'000'000 && wrong == 0, "%lld of %lld are wrong", (long long)wrong,
           (long long)rounded_numbers);
  });
  report.run("rows share the scale of the largest of them, in place too", [] {
    const int32_t d = 24, tokens[] = {5, 0, 3};
    std::vector<uint16_t> rows(6 * d, 0xFFFF);  // NaN but for the tokens
    for (int32_t t : tokens) std::fill_n(&rows[t * d], d, (uint16_t)0x3F81);
    rows[3 * d + 17] = 0xC600;  // -2^13: the scale is 2^5, in units of which 1 is 2^-5
    const svdit::Rows in_place{(char *)rows.data(), d * 2};
    svdit::quantise_rows(in_place, in_place, tokens, 3, d);
    for (int32_t t = 0; t < 6; ++t) {
      const bool rounded = t == 0 || t == 3 || t == 5;
      for (int32_t i = 0; i < d; ++i) {
        const uint16_t want = !rounded ? 0xFFFF : t == 3 && i == 17 ? 0xC600 : 0x3F80;
        EXPECT(rows[t * d + i] == want, "token %d element %d is %04x", t, i, rows[t * d + i]);
      }
    }
  });
}

void test_rows_with_nan() {
  report.run("a NaN stays one and leaves its neighbours their scale", [] {
    const int32_t d = 24, tokens[] = {0, 1, 2};
    // Rows that take the short way beside one that does not.
    for (const uint16_t nan : {0x7FFF, 0xFFFF, 0x7FC0, 0x7F81, 0xFF81}) {
      std::vector<uint16_t> rows(3 * d, (uint16_t)0x3F81), without;
      for (int32_t i = 0; i < d; i += 2) rows[2 * d + i] = 0x3001;  // 2^-31: rounds to 0
      std::vector<uint16_t> result(rows.size());
      const svdit::Rows from{(char *)rows.data(), d * 2}, to{(char *)result.data(), d * 2};
      svdit::quantise_rows(from, to, tokens, 3, d);
      without = result;
      for (const int32_t at : {0, 30, 2 * d + 1}) {
        const uint16_t before = rows[at];
        rows[at] = nan;
        svdit::quantise_rows(from, to, tokens, 3, d);
        rows[at] = before;
        for (int32_t i = 0; i < 3 * d; ++i) {
          const bool good = i == at ? (result[i] & 0x7FFF) > 0x7F80 : result[i] == without[i];
          EXPECT(good, "NaN %04x at %d: element %d is %04x", nan, at, i, result[i]);
        }
      }
    }
  });
}

TestCase plan_case() {
  TestCase c;
  c.frames = 3;
  c.height = 7;
  c.width = 9;
  c.text = 30;
  c.text_valid = {30, 11};
  c.block = 32;
  c.head_dim = 40;
  c.batch = 2;
  c.type = SVDIT_E4M3;
  c.patterns.resize(4);
  c.patterns[1].mode = SVDIT_MODE_SKIP;
  c.patterns[2].order = SVDIT_ORDER_TOKEN_MAJOR;
  return c;
}

struct Planned {
  explicit Planned(const TestCase &c, uint32_t tier = SVDIT_CPU_TIER_AUTO)
      : backend(open_cpu(tier, 2)) {
    const PlanDesc desc(c);
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
  }
  ~Planned() {
    svdit_plan_destroy(plan);
    svdit_backend_close(backend);
  }
  Planned(const Planned &) = delete;
  svdit_backend *backend;
  svdit_plan *plan = nullptr;
};

void test_workspace() {
  report.run("the workspace of a plan", [] {
    TestCase c = plan_case();
    const Planned planned(c);
    const TestWorkspace workspace(planned.plan, 2);
    EXPECT(workspace.bytes == 3 * 2 * 4 * 40 * 2 * 219ull, "%llu",
           (unsigned long long)workspace.bytes);
    uint64_t bytes = 0;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_plan_workspace(planned.plan, 0, &bytes, e); },
        "batch is 0");
    c.key_tokens = 500;
    c.patterns[2].order = SVDIT_ORDER_FRAME_MAJOR;
    c.text_valid.clear();
    const Planned cross(c);
    expect_ok([&](svdit_error *e) { return svdit_plan_workspace(cross.plan, 1, &bytes, e); });
    EXPECT(bytes == 4 * 40 * 2 * (219ull + 2 * 500), "%llu", (unsigned long long)bytes);
  });
  report.run("a workspace that is missing, short or misaligned", [] {
    const TestCase c = plan_case();
    Random random(1);
    const TestData data(c, random, Strides::kBatchTokenHead);
    const Planned planned(c);
    const TestWorkspace workspace(planned.plan, c.batch);
    const auto refused = [&](const std::string &word, auto &&change) {
      svdit_attention_args args = workspace.in(data.args(c));
      change(args);
      expect_status(
          SVDIT_INVALID_ARGUMENT,
          [&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); }, word,
          "workspace");
    };
    const std::string needed = std::to_string(workspace.bytes);
    refused(needed, [](auto &args) { args.workspace = nullptr; });
    refused(needed, [](auto &args) { args.workspace_bytes -= 1; });
    refused("multiple of 16", [](auto &args) { args.workspace = (char *)args.workspace - 8; });
    const int32_t valid[] = {30, 31};
    svdit_attention_args args = workspace.in(data.args(c));
    args.text_valid = valid;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); },
        "text_valid[1] is 31");
    const auto *written = (const unsigned char *)workspace.memory.data();
    EXPECT(std::count(written, written + workspace.bytes, 0xFF) == (int64_t)workspace.bytes,
           "a refused call wrote into the workspace");
  });
}

// The copies, element by element, of every head that is computed.
void test_copies(uint64_t seed) {
  Random random(seed);
  TestCase c = random_case(random);
  c.type = SVDIT_E4M3;
  report.run("copies of seed " + std::to_string(seed) + ": " + c.describe(), [&] {
    const TestData data(c, random, Strides::kGaps);
    for (const TestTensor *tensor : {&data.q, &data.k, &data.v}) {
      for (int32_t row = 0; row < c.batch * c.heads() * tensor->tokens; ++row) {
        const int32_t h = row / tensor->tokens % c.heads();
        char *at = tensor->row(row / tensor->tokens / c.heads(), h, row % tensor->tokens);
        const int exponent = (int)random.between(-30, 10);
        for (int32_t i = 0; i < c.head_dim; ++i, at += 2) {
          from_float(c.type, (float)std::ldexp(to_double(c.type, at), exponent), at);
        }
      }
    }
    const Planned planned(c);
    const TestWorkspace workspace(planned.plan, c.batch);
    const svdit_attention_args args = workspace.in(data.args(c));
    expect_ok([&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); });
    const auto *copied = (const uint16_t *)workspace.memory.data();
    const Quantised &expected = Quantised::of(c, data);
    int64_t wrong = 0;
    for (const std::vector<float> *tensor : {&expected.q, &expected.k, &expected.v}) {
      const size_t head = tensor->size() / (c.batch * c.heads());
      for (size_t i = 0; i < tensor->size(); ++i, ++copied) {
        if (c.patterns[i / head % c.heads()].mode == SVDIT_MODE_SKIP) continue;
        const float got = bf16_number(*copied), want = (*tensor)[i];
        wrong += !(got == want || (std::isnan(want) && *copied == 0xFFFF));
      }
    }
    EXPECT(wrong == 0, "%lld elements are wrong", (long long)wrong);
  });
}

// Heads that skip or are not asked for cost nothing, nor do queries outside of the range.
void test_what_is_copied() {
  report.run("only what a call computes is copied", [] {
    const TestCase c = plan_case();
    Random random(4);
    const TestData data(c, random, Strides::kGaps);
    const Planned planned(c);
    const TestWorkspace workspace(planned.plan, c.batch);
    svdit_attention_args args = workspace.in(data.args(c));
    args.head_end = 3;
    args.query_block_begin = 4;  // tokens 128 to 159 of 189 video tokens
    args.query_block_end = 5;
    expect_ok([&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); });
    const auto *row = (const uint16_t *)workspace.memory.data();
    for (const char *name : {"q", "k", "v"}) {
      for (int32_t b = 0; b < c.batch; ++b) {
        for (int32_t h = 0; h < c.heads(); ++h) {
          const std::vector<int32_t> place = places(c, c.patterns[h]);
          for (int32_t t = 0; t < c.keys(); ++t, row += c.head_dim) {
            const bool video = t < c.video();
            const bool token =
                *name == 'q' ? video && place[t] >= 128 : video || t - c.video() < c.valid(b);
            const bool copied = (h == 0 || h == 2) && token;
            const bool untouched = std::count(row, row + c.head_dim, 0xFFFF) == c.head_dim;
            EXPECT(untouched == !copied, "%s of batch %d head %d token %d", name, b, h, t);
          }
        }
      }
    }
  });
}

// Against the reference, whose numbers are rounded likewise; and no further from the numbers in the
// file than e4m3 with 3 bits can be held to on data without outliers.
void test_fixtures() {
  const char *folder = std::getenv("SVDIT_CASES");
  int used = 0;
  for (const std::string &path :
       fixture_paths(folder ? folder : "src/test/resources/cases/attention")) {
    ++used;
    report.run("fixture " + path, [&] {
      Fixture fixture(path);
      TestCase &c = fixture.test_case;
      c.type = SVDIT_E4M3;
      Random random(1);
      const TestData data(c, random, Strides::kBatchTokenHead);
      fixture.fill(data);
      const Planned planned(c);
      const TestWorkspace workspace(planned.plan, c.batch);
      const svdit_attention_args args = workspace.in(data.args(c));
      expect_ok([&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); });
      fixture.expect_matches(data);
    });
  }
  report.run("fixtures", [&] { EXPECT(used >= 10, "%d", used); });
}

}  // namespace

int main() {
  test_reference_rounding();
  test_scale();
  test_rounding_of_rows();
  test_rows_with_nan();
  test_workspace();
  test_what_is_copied();
  for (uint64_t seed = 1; seed <= 40; ++seed) test_copies(seed);
  test_fixtures();
  return report.finish();
}
