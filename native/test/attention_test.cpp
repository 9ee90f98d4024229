// svdit_attention in every CPU tier against the double-precision definition, on awkward shapes.
// Every buffer ends at a protected page, everything that must not be read is NaN.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "test/cases.h"
#include "test/quantised.h"
#include "test/reference.h"

using namespace svdit::test;

namespace {

// A plan that lives as long as this does.
class Planned {
 public:
  Planned(svdit_backend *backend, const TestCase &c) {
    const PlanDesc desc(c);
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
  }
  ~Planned() { svdit_plan_destroy(plan); }
  Planned(const Planned &) = delete;
  svdit_plan *plan = nullptr;
};

bool attend(const Planned &planned, const svdit_attention_args &args) {
  const TestWorkspace workspace(planned.plan, args.batch);
  const svdit_attention_args with_workspace = workspace.in(args);
  svdit_error error = new_error();
  const svdit_status status = svdit_attention(planned.plan, &with_workspace, nullptr, &error);
  EXPECT(status == SVDIT_OK, "%s", error.message);
  return status == SVDIT_OK;
}

void test_random_shapes(svdit_backend *backend, const std::string &tier, uint64_t seed, int count) {
  for (int i = 0; i < count; ++i, ++seed) {
    Random random(seed);
    const TestCase c = random_case(random);
    const auto strides = (Strides)random.between(0, 2);
    report.run(tier + " seed " + std::to_string(seed) + ": " + c.describe(), [&] {
      const TestData data(c, random, strides);
      const Planned planned(backend, c);
      if (planned.plan != nullptr && attend(planned, data.args(c))) expect_matches(c, data);
    });
  }
}

TestCase medium_case(uint32_t type, int32_t d, const std::vector<uint32_t> &modes, Random &random) {
  TestCase c;
  c.frames = 5;
  c.height = 7;
  c.width = 11;
  c.text = 37;
  c.text_valid = {21};
  c.type = type;
  c.head_dim = d;
  c.block = 32;
  for (uint32_t mode : modes) c.patterns.push_back(random_pattern(random, c, mode));
  return c;
}

// Logits of +-60 leave one weight near 1 and the rest near 0; their exponentials must neither
// overflow nor vanish wrongly.
void test_large_logits(svdit_backend *backend, const std::string &tier) {
  for (uint32_t type : {SVDIT_BF16, SVDIT_FP16, SVDIT_FP32, SVDIT_E4M3}) {
    report.run(tier + " logits of 60, type " + std::to_string(type), [&] {
      Random random(77);
      TestCase c = medium_case(type, 64, {SVDIT_MODE_FULL, SVDIT_MODE_DIAGONAL}, random);
      c.scale = 1;
      const TestData data(c, random, Strides::kBatchTokenHead, 1.6f);
      const Planned planned(backend, c);
      if (attend(planned, data.args(c))) expect_matches(c, data);
    });
  }
}

// Which tokens share a scale of e4m3.
void test_uneven(svdit_backend *backend, const std::string &tier) {
  for (const int32_t text : {0, 90}) {
    for (const bool text_first : {false, true}) {
      const TestCase c = uneven_case(64, text_first ? 128 : 64, text, text_first);
      report.run(tier + " uneven " + c.describe(), [&] {
        Random random(15);
        const TestData data(c, random, Strides::kGaps);
        make_uneven(c, data);
        const Planned planned(backend, c);
        if (attend(planned, data.args(c))) expect_matches(c, data);
      });
    }
  }
}

// A maximum that grows with every block, past the point where the output is rescaled, and one that
// never moves.
void test_growing_logits(svdit_backend *backend, const std::string &tier) {
  for (const float step : {0.02f, -0.02f}) {
    report.run(tier + (step > 0 ? " growing" : " shrinking") + std::string(" maximum"), [&] {
      Random random(5);
      TestCase c;
      c.width = 700;
      c.type = SVDIT_FP32;
      c.head_dim = 64;
      c.patterns.resize(1);
      const TestData data(c, random, Strides::kBatchHeadToken, 0.1f);
      for (int32_t t = 0; t < c.keys(); ++t) {
        svdit::test::from_float(c.type, step * t * 8, data.k.row(0, 0, t));
        svdit::test::from_float(c.type, 1 + 0.001f * t, data.q.row(0, 0, t));
      }
      const Planned planned(backend, c);
      if (attend(planned, data.args(c))) expect_matches(c, data);
    });
  }
}

// An all-blocks list and a window over everything are FULL; the outputs are the same bytes.
void test_all_blocks_is_dense(svdit_backend *backend, const std::string &tier) {
  report.run(tier + " all blocks listed equals full", [&] {
    Random random(9);
    TestCase c = medium_case(SVDIT_BF16, 128, {SVDIT_MODE_FULL}, random);
    c.patterns[0] = TestPattern{};
    const TestData dense(c, random, Strides::kBatchHeadToken);
    expect_ok([&](svdit_error *e) {
      const Planned planned(backend, c);
      const svdit_attention_args args = dense.args(c);
      return svdit_attention(planned.plan, &args, nullptr, e);
    });
    std::vector<int32_t> all(c.video_blocks());
    for (int32_t b = 0; b < c.video_blocks(); ++b) all[b] = b;
    TestPattern lists, stripes, window;
    lists.mode = SVDIT_MODE_BLOCKS;
    lists.lists.assign(c.video_blocks(), all);
    stripes.mode = SVDIT_MODE_VERTICAL_STRIPE;
    stripes.blocks = all;
    window.mode = SVDIT_MODE_DIAGONAL;
    window.window = c.video();
    for (const TestPattern &pattern : {lists, stripes, window}) {
      TestCase other = c;
      other.patterns = {pattern};
      Random again(9);
      medium_case(SVDIT_BF16, 128, {SVDIT_MODE_FULL}, again);
      const TestData data(other, again, Strides::kBatchHeadToken);
      const Planned planned(backend, other);
      attend(planned, data.args(other));
      EXPECT(std::memcmp(data.out.tensor().data, dense.out.tensor().data,
                         dense.out.tensor().extent_bytes) == 0,
             "mode %u differs from FULL", pattern.mode);
    }
  });
}

// Two complementary masks, merged by their LSE, give the dense result.
void test_complementary_masks(svdit_backend *backend, const std::string &tier) {
  report.run(tier + " complementary masks merged by LSE equal dense", [&] {
    TestCase c;
    c.frames = 3;
    c.height = 9;
    c.width = 13;
    c.type = SVDIT_FP32;
    c.block = 16;
    TestPattern full, odd, even;
    odd.mode = even.mode = SVDIT_MODE_BLOCKS;
    for (int32_t i = 0; i < c.video_blocks(); ++i) {
      odd.lists.emplace_back();
      even.lists.emplace_back();
      for (int32_t b = 0; b < c.video_blocks(); ++b) {
        // Query block 3 sees everything in one mask and nothing in the other.
        ((i == 3 || (b + i) % 2) ? odd : even).lists.back().push_back(b);
      }
    }
    c.patterns = {full, odd, even};
    Random random(21);
    TestData data(c, random, Strides::kBatchHeadToken);
    for (int32_t t = 0; t < c.queries(); ++t) {
      for (int32_t h = 1; h < 3; ++h) {
        std::memcpy(data.q.row(0, h, t), data.q.row(0, 0, t), 4 * c.head_dim);
        std::memcpy(data.k.row(0, h, t), data.k.row(0, 0, t), 4 * c.head_dim);
        std::memcpy(data.v.row(0, h, t), data.v.row(0, 0, t), 4 * c.head_dim);
      }
    }
    const Planned planned(backend, c);
    if (!attend(planned, data.args(c))) return;
    double worst = 0;
    for (int32_t t = 0; t < c.queries(); ++t) {
      const double dense = data.lse(c, 0, 0, t);
      const double a = std::exp(data.lse(c, 0, 1, t) - dense);
      const double b = std::exp(data.lse(c, 0, 2, t) - dense);
      worst = std::max(worst, std::fabs(a + b - 1));
      for (int32_t i = 0; i < c.head_dim; ++i) {
        const double merged = a * data.out.at(0, 1, t, i) + b * data.out.at(0, 2, t, i);
        worst = std::max(worst, std::fabs(merged - data.out.at(0, 0, t, i)));
      }
    }
    EXPECT(worst < 5e-6, "off by %g", worst);
  });
}

// Ranges write their part, the same bytes as the whole, and leave the rest alone.
void test_ranges(svdit_backend *backend, const std::string &tier, uint32_t type) {
  report.run(tier + " head and query-block ranges, type " + std::to_string(type), [&] {
    Random random(33);
    const TestCase c = medium_case(
        type, 64,
        {SVDIT_MODE_FULL, SVDIT_MODE_MULTI_DIAGONAL, SVDIT_MODE_SKIP, SVDIT_MODE_VERTICAL_STRIPE},
        random);
    const TestData whole(c, random, Strides::kBatchTokenHead);
    const Planned planned(backend, c);
    if (!attend(planned, whole.args(c))) return;
    const TestTensor part(c.type, c.batch, c.heads(), c.queries(), c.head_dim,
                          Strides::kBatchTokenHead);
    svdit_attention_args args = whole.args(c);
    std::vector<float> lse((size_t)c.heads() * c.queries(), 7);
    args.out = part.tensor();
    args.lse = lse.data();
    args.head_begin = 1;
    args.head_end = 3;
    args.query_block_begin = 3;  // not the first of 64 tokens
    args.query_block_end = c.video_blocks() + 1;
    attend(planned, args);
    for (int32_t h = 0; h < c.heads(); ++h) {
      const Visibility visibility(c, h);
      for (int32_t t = 0; t < c.queries(); ++t) {
        const int32_t block = visibility.query_block(t);
        const bool inside = h >= 1 && h < 3 && block >= 3 && block <= c.video_blocks();
        std::vector<char> expected(2 * c.head_dim, (char)0xFF);
        if (inside) std::memcpy(expected.data(), whole.out.row(0, h, t), expected.size());
        EXPECT(std::memcmp(part.row(0, h, t), expected.data(), expected.size()) == 0,
               "head %d token %d (%s the range)", h, t, inside ? "in" : "outside");
        const float l = lse[h * c.queries() + t];
        EXPECT(l == (inside ? whole.lse(c, 0, h, t) : 7));
      }
    }
  });
}

// The head dims with kernels of their own and the others, in every type, with a key count that
// leaves odd tails.
void test_head_dims(svdit_backend *backend, const std::string &tier) {
  for (int32_t d = 8; d <= 256; d += d < 136 ? 8 : 40) {
    report.run(tier + " head dim " + std::to_string(d), [&] {
      for (uint32_t type : {SVDIT_BF16, SVDIT_FP16, SVDIT_FP32, SVDIT_E4M3}) {
        Random random(d + type);
        TestCase c;
        c.width = 131;
        c.type = type;
        c.head_dim = d;
        c.patterns.resize(1);
        const TestData data(c, random, Strides::kGaps);
        const Planned planned(backend, c);
        if (attend(planned, data.args(c))) expect_matches(c, data);
      }
    });
  }
}

// Bits of NaNs: quiet and signalling, of either sign, with payloads that arithmetic on the bits of
// a number may turn into one.
std::vector<uint32_t> nans(uint32_t type) {
  if (type == SVDIT_FP32) return {0x7FC00000, 0xFFC00000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001};
  if (type == SVDIT_FP16) return {0x7E00, 0xFE00, 0x7FFF, 0xFFFF, 0x7C01};
  return {0x7FC0, 0xFFC0, 0x7FFF, 0xFFFF, 0x7F81};
}

// How far a row that sees no NaN may be from its value in a run without any: the maxima are taken
// for a group of rows together, so not a single rounding need be the same.
double tolerance(uint32_t type) {
  return type == SVDIT_FP32 ? 1e-5 : type == SVDIT_FP16 ? 4e-3 : 3e-2;
}

// One NaN in q, k or v is NaN in every row whose softmax it enters and nowhere else.
void test_nan(svdit_backend *backend, const std::string &tier, uint32_t type, int32_t d) {
  report.run(tier + " one NaN, type " + std::to_string(type) + ", head dim " + std::to_string(d),
             [&] {
               Random random(55);
               const TestCase c =
                   medium_case(type, d,
                               {SVDIT_MODE_FULL, SVDIT_MODE_DIAGONAL, SVDIT_MODE_MULTI_DIAGONAL,
                                SVDIT_MODE_VERTICAL_STRIPE, SVDIT_MODE_BLOCKS, SVDIT_MODE_SKIP},
                               random);
               const TestData data(c, random, Strides::kGaps);
               const Planned planned(backend, c);
               const int32_t bytes = element_bytes(type);
               int64_t hidden = 0, spread = 0, tainted = 0, clean = 0;
               // The first token, one amid a chunk, the last of the video and the last text token
               // that counts.
               for (const int32_t token : {0, 200, c.video() - 1, c.video() + c.valid(0) - 1}) {
                 for (const auto tensor : {&TestData::q, &TestData::k, &TestData::v}) {
                   const int32_t element = token % d;
                   std::vector<char> before;
                   for (int32_t h = 0; h < c.heads(); ++h) {
                     char *at = (data.*tensor).row(0, h, token) + element * bytes;
                     before.insert(before.end(), at, at + bytes);
                     std::memset(at, 0, bytes);
                   }
                   if (!attend(planned, data.args(c))) return;
                   std::vector<double> without;
                   for (int32_t h = 0; h < c.heads(); ++h) {
                     for (int32_t t = 0; t < c.queries(); ++t) {
                       for (int32_t i = 0; i < d; ++i) without.push_back(data.out.at(0, h, t, i));
                     }
                   }
                   for (const uint32_t nan : nans(type)) {
                     for (int32_t h = 0; h < c.heads(); ++h) {
                       std::memcpy((data.*tensor).row(0, h, token) + element * bytes, &nan, bytes);
                     }
                     if (!attend(planned, data.args(c))) return;
                     const double *expected = without.data();
                     for (int32_t h = 0; h < c.heads(); ++h) {
                       const Visibility visibility(c, h);
                       for (int32_t t = 0; t < c.queries(); ++t) {
                         const bool is_v = tensor == &TestData::v;
                         const bool sees = tensor == &TestData::q
                                               ? t == token && c.patterns[h].mode != SVDIT_MODE_SKIP
                                               : visibility.sees(t, token, c.valid(0));
                         const bool nan_lse = sees && !is_v;
                         hidden += nan_lse && !std::isnan(data.lse(c, 0, h, t));
                         spread += !nan_lse && std::isnan(data.lse(c, 0, h, t));
                         for (int32_t i = 0; i < d; ++i, ++expected) {
                           const double x = data.out.at(0, h, t, i);
                           if (sees && (!is_v || i == element)) {
                             hidden += !std::isnan(x);
                             ++tainted;
                           } else {
                             spread += !(std::fabs(x - *expected) <= tolerance(type));
                             ++clean;
                           }
                         }
                       }
                     }
                   }
                   for (int32_t h = 0; h < c.heads(); ++h) {
                     std::memcpy((data.*tensor).row(0, h, token) + element * bytes,
                                 &before[(size_t)h * bytes], bytes);
                   }
                 }
               }
               EXPECT(tainted > 0 && hidden == 0, "%lld of %lld NaNs became numbers",
                      (long long)hidden, (long long)tainted);
               EXPECT(clean > 0 && spread == 0, "%lld of %lld numbers that see no NaN changed",
                      (long long)spread, (long long)clean);
             });
}

}  // namespace

int main() {
  const char *seed = std::getenv("SVDIT_TEST_SEED");
  const char *count = std::getenv("SVDIT_TEST_COUNT");
  for (uint32_t tier : present_tiers()) {
    svdit_backend *backend = open_cpu(tier, 2);
    const std::string name = tier_label(tier);
    test_random_shapes(backend, name, seed ? std::strtoull(seed, nullptr, 10) : 1000,
                       count ? std::atoi(count) : 60);
    test_large_logits(backend, name);
    test_growing_logits(backend, name);
    test_uneven(backend, name);
    test_all_blocks_is_dense(backend, name);
    test_complementary_masks(backend, name);
    test_ranges(backend, name, SVDIT_BF16);
    test_ranges(backend, name, SVDIT_E4M3);
    test_head_dims(backend, name);
    for (uint32_t type : {SVDIT_BF16, SVDIT_FP16, SVDIT_FP32, SVDIT_E4M3}) {
      for (int32_t d : {64, 40}) test_nan(backend, name, type, d);
    }
    svdit_backend_close(backend);
  }
  return report.finish();
}
